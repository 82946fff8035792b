"""Every architecture that the graph engine runs, with compiled kernels in CUDA graphs, against transformers."""

import copy

import pytest
import torch
from transformers import LogitsProcessorList

from scripts.engine.continuous import GraphBatching
from scripts.engine.engine import GraphEngine
from scripts.engine.speculation import SpeculativeEngine
from scripts.inference.drawing import processor
from scripts.runtime.drawing import Sampler
from scripts.runtime.models import Loaded, Process
from scripts.runtime.serving import Request
from tests.support import families

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU; there is none here"),
]
NEW = 12
PROMPTS = [[7, 8, *((5 * place + 3 * length) % 300 + 3 for place in range(length))] for length in (3, 40, 19, 9, 1)]


def by_transformers(model, sampler=None):
    found = []
    for prompt in PROMPTS:
        ids = torch.tensor([prompt], device="cuda")
        lengths = torch.tensor([len(prompt)], device="cuda")
        drawn = [processor(sampler, [prompt], lengths, len(prompt))] if sampler else []
        out = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, do_sample=False, eos_token_id=None,
            pad_token_id=2, logits_processor=LogitsProcessorList(drawn),
        )  # fmt: skip
        found.append(out[0, len(prompt) :].tolist())
    return found


def loaded_of(model, sampler=None):
    return Loaded(copy.deepcopy(model), Process(torch.device("cuda", 0), model.dtype), {}, sampler=sampler)


def by_engine(model, rows=1, shared_prefix=False, speculation=None, sampler=None):
    options = {"shared_prefix": shared_prefix, "pad": 2}
    loaded = loaded_of(model, sampler)
    engine = SpeculativeEngine(loaded, speculation, **options) if speculation else GraphEngine(loaded, **options)
    batches = [PROMPTS[first : first + rows] for first in range(0, len(PROMPTS), rows)]
    engine.reserve(batches, NEW)
    engine.limit(NEW, [])
    return [row[:NEW] for batch in batches for row in engine.generate(batch).tokens]


def by_batching(model, sampler=None):
    engine = GraphBatching(loaded_of(model, sampler), pad=2, slots=2, prefill_tokens=64)
    engine.reserve(60)
    for number, prompt in enumerate(PROMPTS):
        engine.submit(Request(number, prompt, NEW, sampler=sampler))
    written = {}
    for events in engine.run():
        for key, token, _ in events:
            written.setdefault(key, []).append(token)
    return [written[number] for number in range(len(PROMPTS))]


@pytest.mark.parametrize("name", families.FAMILIES)
def test_the_graph_engine_writes_the_tokens_of_transformers(name):
    model = families.model_of(name).to("cuda")
    expected = by_transformers(model)
    ways = [{}, {"rows": 5}, {"rows": 5, "shared_prefix": True}, {"speculation": {"prompt_lookup": 4}}]
    for way in ways:
        assert by_engine(model, **way) == expected, way
    assert by_batching(model) == expected


@pytest.mark.parametrize("options", [{}, {"top_k": 40}, {"top_p": 0.9, "top_k": 100}], ids=str)
@pytest.mark.parametrize("name", ["llama", "gemma2"])
def test_recorded_steps_draw_what_transformers_does(name, options):
    model, sampler = families.model_of(name).to("cuda"), Sampler(1.0, seed=4, **options)
    expected = by_transformers(model, sampler)
    assert expected != by_transformers(model)
    ways = [{}, {"rows": 5}, {"rows": 5, "shared_prefix": True}, {"speculation": {"prompt_lookup": 4}}]
    for way in ways:
        assert by_engine(model, sampler=sampler, **way) == expected, way
    assert by_batching(model, sampler) == expected


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("name", ["qwen3", "gemma2", "gemma3", "phi4"])
def test_sixteen_bits_run_too(name, rows):
    """Rounding decides more there, and texts part; under a fault hardly a token would be the same."""
    model = families.model_of(name).to("cuda").bfloat16()
    pairs = zip(by_engine(model, rows=rows), by_transformers(model), strict=True)
    same = sum(sum(mine == other for mine, other in zip(*pair, strict=True)) for pair in pairs)
    assert same > 0.25 * NEW * len(PROMPTS)


@pytest.mark.parametrize("name", ["qwen3", "gemma2"])  # the second caps its logits
def test_requests_that_ask_are_told_log_probabilities_while_others_are_replayed(name):
    """The steps of both run over the same cache, with a graph and without one in turn."""
    model = families.model_of(name).to("cuda")
    expected = by_transformers(model)
    engine = GraphBatching(loaded_of(model), pad=2, slots=3, prefill_tokens=64)
    engine.reserve(60)
    graphs = engine.facts()["device_graphs"]
    for number, prompt in enumerate(PROMPTS):
        engine.submit(Request(number, prompt, NEW, logprobs=3 * (number % 2)))
    written, told = {}, {}
    for events in engine.run():
        for key, token, _ in events:
            written.setdefault(key, []).append(token)
        for key, *entry in engine.likely:
            told.setdefault(key, []).append(entry)
        engine.likely = []
    assert [written[number] for number in range(len(PROMPTS))] == expected
    assert sorted(told) == [1, 3]
    assert engine.facts()["device_graphs"] == graphs
    assert engine.facts()["recorded_while_timed"] == 0
    for number, entries in told.items():
        with torch.inference_mode():
            ids = torch.tensor([PROMPTS[number] + expected[number][:-1]], device="cuda")
            values = model(ids).logits[0, len(PROMPTS[number]) - 1 :].float().log_softmax(dim=-1)
        best = values.topk(3)
        assert [entry[1] for entry in entries] == best.indices.tolist()
        found = torch.tensor([entry[2] for entry in entries])
        torch.testing.assert_close(found, best.values.cpu(), rtol=1e-3, atol=1e-3)
