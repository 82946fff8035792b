"""Continuous batching against the same engine with one request at a time."""

import copy
import random

import pytest
import torch
from transformers import LlamaForCausalLM

from scripts.engine.continuous import GraphBatching
from scripts.engine.engine import GraphEngine
from scripts.runtime.drawing import Sampler
from scripts.runtime.models import Loaded, Process
from scripts.runtime.serving import LENGTH, STOP, Request
from scripts.runtime.stops import Held, Stops
from scripts.techniques.registry import load_facet

LONGEST, NEW = 48, 16


@pytest.fixture(scope="module")
def model(checkpoint):
    return LlamaForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()


def loaded(model, quantization=None):
    made = Loaded(copy.deepcopy(model), Process(torch.device("cpu"), torch.float32), {})
    if quantization is not None:
        load_facet("quantization").after_load({"method": quantization}, made)
    return made


@pytest.fixture(scope="module")
def alone(model):
    """What the graph engine writes after a prompt that stands alone."""
    engine = GraphEngine(loaded(model), shared_prefix=False, pad=2)
    engine.reserve([[[1] * LONGEST]], NEW)
    engine.limit(NEW, [])
    return lambda prompt: engine.generate([prompt]).tokens[0]


@pytest.fixture
def batching(model):
    def make(slots, prefill_tokens=64):
        made = GraphBatching(loaded(model), pad=2, slots=slots, prefill_tokens=prefill_tokens)
        made.reserve(LONGEST + NEW)
        return made

    return make


def prompts(count, seed):
    drawn = random.Random(seed)
    return [[drawn.randrange(3, 320) for _ in range(drawn.randint(1, LONGEST))] for _ in range(count)]


def collect(written, events):
    for key, token, end in events:
        tokens, ends = written.setdefault(key, ([], []))
        assert not ends, "nothing follows an end"
        tokens.append(token)
        if end:
            ends.append(end)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_comes_when_each_request_gets_its_own_tokens(batching, alone, seed):
    drawn = random.Random(seed)
    engine = batching(slots=drawn.choice([1, 3, 5, 16]), prefill_tokens=drawn.choice([16, 64, 256]))
    asked = {}
    for number, prompt in enumerate(prompts(24, seed)):
        tokens = alone(prompt)
        stops = frozenset(drawn.sample(tokens, drawn.randint(0, 2)))
        asked[number] = Request(number, prompt, drawn.randint(1, NEW), stops), tokens
    written, waiting = {}, list(asked)
    while waiting or engine.busy:
        for _ in range(min(len(waiting), drawn.choice([0, 0, 1, 2, 7]))):
            engine.submit(asked[waiting.pop(0)][0])
        collect(written, engine.step())
    for number, (request, tokens) in asked.items():
        expected = tokens[: request.max_tokens]
        first = next((place for place, token in enumerate(expected) if token in request.stops), None)
        expected = expected if first is None else expected[: first + 1]
        assert written[number] == (expected, [LENGTH if first is None else STOP])
    assert engine.running == engine.waiting == 0
    assert engine.facts()["recorded_while_timed"] == 0


def test_requests_are_drawn_each_in_its_own_way_whatever_else_is_under_way(model):
    drawn = random.Random(5)
    study = Sampler(temperature=1.0, top_p=0.9, top_k=50, seed=1)
    made = loaded(model)
    made.sampler = study
    engine = GraphBatching(made, pad=2, slots=3, prefill_tokens=64)
    engine.reserve(LONGEST + NEW)
    samplers = [study, None, Sampler(0.7, seed=2), Sampler(1.5, top_k=5, seed=3, draw=4), Sampler(1.0, top_p=0.5)]
    asked = [(prompt, drawn.choice(samplers)) for prompt in prompts(16, seed=3)]
    for number, (prompt, sampler) in enumerate(asked):
        engine.submit(Request(number, prompt, NEW, sampler=sampler))
    written = {}
    for events in engine.run():
        collect(written, events)
    for number, (prompt, sampler) in enumerate(asked):
        single = loaded(model)
        single.sampler = sampler
        own = GraphEngine(single, shared_prefix=False, pad=2)
        own.reserve([[prompt]], NEW)
        own.limit(NEW, [])
        assert written[number] == (own.generate([prompt]).tokens[0], [LENGTH]), sampler


def test_tokens_that_are_held_behind_text_end_no_answer_before_it(batching, alone):
    drawn = random.Random(4)
    engine = batching(slots=3)
    asked = {}
    for number, prompt in enumerate(prompts(12, seed=12)):
        tokens = alone(prompt)
        held = frozenset(drawn.sample(tokens, 3)) | {tokens[0]}
        asked[number] = Request(number, prompt, NEW, held=Held(held, held | set(drawn.sample(tokens, 2)))), tokens
        engine.submit(asked[number][0])
    written = {}
    for events in engine.run():
        collect(written, events)
    for number, (request, tokens) in asked.items():
        expected = Stops(sorted(request.held.tokens), set(), request.held).trim(tokens)
        assert written[number][0] == expected
        assert len(expected) > 1


def test_a_cancelled_request_gives_its_slot_to_the_next(batching, alone):
    engine = batching(slots=1)
    first, second, third = prompts(3, seed=9)
    for key, prompt in (("first", first), ("second", second), ("third", third)):
        engine.submit(Request(key, prompt, NEW))
    written = {}
    collect(written, engine.step())
    engine.cancel("first")
    engine.cancel("second")
    engine.cancel("never heard of")
    for events in engine.run():
        collect(written, events)
    assert written["third"] == (alone(third), [LENGTH])
    assert "second" not in written
    assert len(written["first"][0]) < NEW


def likeliest(model, prompt, tokens, count):
    """Of each new token its log-probability, the likeliest tokens and theirs, by the plain model."""
    with torch.inference_mode():
        logits = model(torch.tensor([prompt + tokens[:-1]])).logits[0, len(prompt) - 1 :]
    values = logits.log_softmax(dim=-1)
    best = values.topk(count)
    return values[range(len(tokens)), tokens], best.indices.tolist(), best.values


def test_requests_that_ask_are_told_log_probabilities_and_write_the_same_tokens(batching, model, alone):
    """Whatever stands beside them: prompts that are read meanwhile, and requests that ask for none."""
    engine = batching(slots=3, prefill_tokens=64)
    asked = {number: Request(number, prompt, NEW, logprobs=[0, 4, 2][number % 3])
             for number, prompt in enumerate(prompts(9, seed=3))}  # fmt: skip
    written, told = {}, {}
    for request in asked.values():
        engine.submit(request)
        collect(written, engine.step())
        for key, *entry in engine.likely:
            told.setdefault(key, []).append(entry)
        engine.likely = []
    for events in engine.run():
        collect(written, events)
        assert {key for key, *_ in engine.likely} <= {key for key, *_ in events}
        for key, *entry in engine.likely:
            told.setdefault(key, []).append(entry)
        engine.likely = []
    assert engine.counts.mixed_steps > 0
    assert sorted(told) == [number for number in asked if number % 3]
    for number, request in asked.items():
        assert written[number][0] == alone(request.prompt)
        if number not in told:
            continue
        own, tokens, values = likeliest(model, request.prompt, written[number][0], request.logprobs)
        assert [entry[1] for entry in told[number]] == tokens
        torch.testing.assert_close(torch.tensor([entry[0] for entry in told[number]]), own, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(torch.tensor([entry[2] for entry in told[number]]), values, rtol=1e-4, atol=1e-4)


def test_a_request_that_asks_and_goes_leaves_the_others_untold(batching):
    engine = batching(slots=2)
    engine.submit(Request("asks", [5] * 8, NEW, logprobs=3))
    engine.submit(Request("does not", [7] * 8, NEW))
    engine.step()
    engine.cancel("asks")
    engine.step()
    engine.likely = []
    engine.step()
    assert engine.likely == []
    assert engine._telling == 0


def test_requests_go_on_while_prompts_are_read(batching):
    """Each pass that reads prompts, at most so many tokens of them, writes a token of those under way too."""
    engine = batching(slots=4, prefill_tokens=32)
    engine.submit(Request("first", [5] * 8, NEW))
    engine.step()
    for number in range(3):
        engine.submit(Request(number, [7] * 30, 4))
    together = [{key for key, _, _ in engine.step()} for _ in range(4)]
    assert together == [{"first", 0}, {"first", 0, 1}, {"first", 0, 1, 2}, {"first", 0, 1, 2}]
    assert engine.counts.mixed_steps == 3


def test_a_prompt_longer_than_a_pass_reads_takes_turns_with_those_under_way(batching, alone):
    engine = batching(slots=3, prefill_tokens=16)
    given = {"first": [5] * 8, "second": [7] * 40, "third": [9] * LONGEST}
    written = {}
    for key, prompt in given.items():
        engine.submit(Request(key, prompt, 4))
        collect(written, engine.step())
    for events in engine.run():
        collect(written, events)
    assert written == {key: (alone(prompt)[:4], [LENGTH]) for key, prompt in given.items()}
    assert engine.counts.mixed_steps == 0


def test_what_can_not_be_run_is_refused(batching):
    engine = batching(slots=2)
    for prompt, tokens in (([], 4), ([4], 0), ([4] * LONGEST, NEW + 1)):
        with pytest.raises(ValueError, match=r"[Pp]rompt"):
            engine.submit(Request("key", prompt, tokens))
    assert not engine.busy


def test_what_was_observed_accounts_for_every_token(batching):
    engine = batching(slots=2)
    given = prompts(5, seed=3)
    seen = engine.observe(given, 6)
    assert seen.trace.generated == [6] * 5
    assert sum(map(sum, seen.trace.given)) == sum(map(len, given)) + 5 * 5
    assert max(seen.forward_rows) == 2
    assert seen.not_finite is None


@pytest.mark.parametrize("method", ["int8_weight_only", "int4_weight_only"])
def test_weights_are_multiplied_as_they_are_stored(model, method):
    given = prompts(4, seed=6)
    one = GraphEngine(loaded(model, method), shared_prefix=False, pad=2)
    one.reserve([[prompt] for prompt in given], 8)
    one.limit(8, [])
    together = GraphBatching(loaded(model, method), pad=2, slots=4)
    together.reserve(LONGEST + 8)
    written = {}
    for number, prompt in enumerate(given):
        together.submit(Request(number, prompt, 8))
    for events in together.run():
        collect(written, events)
    assert [written[number][0] for number in range(4)] == [one.generate([prompt]).tokens[0] for prompt in given]
