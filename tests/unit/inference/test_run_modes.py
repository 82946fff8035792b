"""The fixed-length mode, batches, and what is judged after the timing."""

import math

import pytest

from scripts.foundation import files
from scripts.inference.batches import first_of_each_shape, group, repeat_to_length
from scripts.inference.readings import host_bound
from tests.support.tiny_checkpoint import variant, write_dataset
from tests.support.worker_runs import run_worker

FIXED = {"new_tokens": 9, "samples": 2}
FACETS = [{}, {"kv_cache": "none"}, {"speculation": {"prompt_lookup": 3}}, {"quantization": "nf4"}, {"batch_size": 2}]


@pytest.mark.parametrize("facets", FACETS)
def test_the_fixed_mode_writes_as_many_tokens_as_asked_whatever_they_are(chain, facets, tmp_path):
    # The chain would end after four tokens; prompts hold some of what it writes, for the lookup to find.
    evaluation_set = write_dataset(tmp_path / "eval.jsonl")
    rows = files.read_json_lines(evaluation_set)
    files.write_json_lines(
        evaluation_set, [row | {"summary": f"Lock /012 was opened: {row['summary']}"} for row in rows]
    )
    ending = variant(chain, tmp_path / "ending", generation_config={"bos_token_id": 0, "eos_token_id": [1, 20]})
    run = run_worker(ending, evaluation_set, facets, fixed=FIXED)
    natural, fixed = run.samples, run.fixed
    assert [sample["id"] for sample in fixed] == [sample["id"] for sample in natural[:2]]
    assert [sample["new_tokens"] for sample in fixed] == [9, 9]
    assert {sample["stop_reason"] for sample in fixed} == {"length"}
    assert natural[0]["new_tokens"] == 4
    if "quantization" not in facets:
        for own, longer in zip(natural, fixed, strict=False):
            assert longer["token_ids"][: own["new_tokens"]] == own["token_ids"]


def test_a_draft_keeps_on_past_the_end_too(chain, evaluation_set, tmp_path):
    ending = variant(chain, tmp_path / "ending", generation_config={"bos_token_id": 0, "eos_token_id": [1, 20]})
    run = run_worker(ending, evaluation_set, {"speculation": {"draft": "draft"}}, draft=ending, fixed=FIXED)
    assert [sample["new_tokens"] for sample in run.fixed] == [9, 9]
    assert run.fixed[0]["token_ids"] == list(range(17, 26))
    # What the fixed mode drafted is not counted with the headlines that are scored.
    assert run.evidence["speculation"]["target_calls"] == sum(sample["rounds"] for sample in run.samples)


def test_no_fixed_mode_where_none_is_asked_for(greedy):
    assert greedy.fixed == []
    assert greedy.outcome["modes"]["fixed"] is None


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("cache", ["dynamic", "none"])
def test_a_batch_writes_what_each_request_alone_writes(checkpoint, evaluation_set, greedy, size, cache):
    run = run_worker(checkpoint, evaluation_set, {"batch_size": size, "kv_cache": cache})
    assert run.tokens == greedy.tokens
    assert [sample["id"] for sample in run.samples] == [sample["id"] for sample in greedy.samples]
    assert [sample["prompt_tokens"] for sample in run.samples] == [sample["prompt_tokens"] for sample in greedy.samples]
    assert run.evidence["batch_size"]["sequences_per_forward"][-1] == size


def test_a_request_of_a_batch_is_done_with_its_own_last_token(chain, tmp_path):
    ending = variant(chain, tmp_path / "ending", generation_config={"bos_token_id": 0, "eos_token_id": [1, 30]})
    data = write_dataset(tmp_path / "eval.jsonl", 2)
    rows = files.read_json_lines(data)
    # They end with characters whose tokens are 8 and 3 steps away from the end token.
    files.write_json_lines(data, [rows[0] | {"summary": "river"}, rows[1] | {"summary": "rivers and lakes"}])
    run = run_worker(ending, data, {"batch_size": 2}, max_new_tokens=40, prompt="{summary}")
    first, second = run.samples
    assert first["batch"] == second["batch"] == 0
    assert first["batch_requests"] == 2
    assert first["batch_time_s"] == second["batch_time_s"]
    for sample in run.samples:
        assert sample["latency_s"] == sample["token_times_s"][-1] <= sample["batch_time_s"]
        assert len(sample["token_times_s"]) == sample["new_tokens"]


def test_requests_are_batched_by_length_and_the_last_batch_may_be_smaller():
    assert group([5, 1, 4, 2, 3], 2) == [[1, 3], [4, 2], [0]]
    assert group([5, 1, 4], 1) == [[0], [1], [2]]


@pytest.mark.parametrize("length", [3, 40])
def test_prompts_are_brought_to_one_length(checkpoint, evaluation_set, length):
    run = run_worker(checkpoint, evaluation_set, {"prompt_tokens": length})
    assert {sample["prompt_tokens"] for sample in run.samples} == {length}
    assert run.evidence["prompt_tokens"] == {"prompt_tokens": length}


def test_a_prompt_is_repeated_and_cut():
    assert repeat_to_length([1, 2, 3], 7) == [1, 2, 3, 1, 2, 3, 1]
    assert repeat_to_length([1, 2, 3], 2) == [1, 2]


def test_more_prompt_than_the_model_has_room_for_is_a_row_that_says_so(checkpoint, evaluation_set):
    run = run_worker(checkpoint, evaluation_set, {"prompt_tokens": 512})
    assert run.outcome["status"] == "unsupported"
    assert "needs 523 positions, but the 'llama' model has 512;" in run.outcome["reason"]


@pytest.fixture(scope="module")
def judged(checkpoint, evaluation_set):
    return run_worker(checkpoint, evaluation_set, {}, thorough=True)


def test_every_greedy_token_is_the_best_and_its_margin_is_known(judged):
    for sample in judged.samples:
        assert sample["argmax_agrees"] == sample["new_tokens"] == len(sample["margins"]) == len(sample["runners_up"])
        assert all(margin >= 0 for margin in sample["margins"])
        assert all(own != rival for own, rival in zip(sample["token_ids"], sample["runners_up"], strict=True))


def test_tokens_that_were_drawn_at_random_are_found_out(checkpoint, evaluation_set, monkeypatch):
    from scripts.inference import preparation

    make = preparation.generation_config

    def drawing(*arguments):
        config = make(*arguments)
        config.do_sample, config.temperature = True, 30.0
        return config

    monkeypatch.setattr(preparation, "generation_config", drawing)
    run = run_worker(checkpoint, evaluation_set, {}, thorough=True)
    assert sum(sample["argmax_agrees"] for sample in run.samples) < sum(sample["new_tokens"] for sample in run.samples)


def test_the_likelihood_of_a_reference_is_that_of_the_model_alone(checkpoint, evaluation_set, judged):
    import torch

    from scripts.inference.loading import load, load_tokenizer
    from scripts.runtime.models import Process

    tokenizer = load_tokenizer(checkpoint)
    model = load(checkpoint, {"kv_cache": "dynamic"}, Process(torch.device("cpu"), torch.float32), None).model
    row, sample = files.read_json_lines(evaluation_set)[0], judged.samples[0]
    prompt = tokenizer(f"Write: {row['summary']}")["input_ids"]
    reference = tokenizer(" " + row["headline"], add_special_tokens=False)["input_ids"]
    expected = 0.0
    for count, token in enumerate([*reference, tokenizer.eos_token_id]):
        with torch.inference_mode():
            logits = model(torch.tensor([prompt + reference[:count]])).logits[0, -1].double()
        expected -= float(logits.log_softmax(0)[token])
    assert sample["reference_tokens"] == len(reference) + 1
    assert sample["reference_nll"] == pytest.approx(expected, rel=1e-4)


def test_damage_shows_in_the_likelihood(checkpoint, evaluation_set, judged):
    """Weights that are gone change what the references' likelihood is, prompt by prompt."""
    damaged = run_worker(checkpoint, evaluation_set, {"pruning": {"amount": 0.9}}, thorough=True).samples
    for whole, pruned in zip(judged.samples, damaged, strict=True):
        assert whole["reference_tokens"] == pruned["reference_tokens"]
        assert math.isfinite(pruned["reference_nll"])
        assert abs(whole["reference_nll"] - pruned["reference_nll"]) > 1.0


def test_random_weights_have_no_likelihood_but_margins(checkpoint, evaluation_set, monkeypatch):
    from tests.support import worker_runs

    make = worker_runs.request

    def random(*arguments, **options):
        request = make(*arguments, **options)
        request["models"]["target"]["random_weights"] = True
        return request

    monkeypatch.setattr(worker_runs, "request", random)
    [sample, *_] = run_worker(checkpoint, evaluation_set, {}, thorough=True).samples
    assert sample["reference_nll"] is None
    assert len(sample["margins"]) == sample["new_tokens"]


def test_where_the_time_goes_is_seen_outside_the_timed_samples(judged, greedy):
    spent = judged.outcome["time"]
    assert spent["operators_s"] > 0
    share, reason = spent["host_bound_share"], spent["host_bound_reason"]
    assert (share, reason) == host_bound(spent["sample_s"], spent["profiled_s"], spent["operators_s"])
    assert 0 < spent["target_forward_s"] < spent["sample_s"]
    assert spent["draft_forward_s"] is None
    assert greedy.outcome["time"] is None
    assert judged.tokens == greedy.tokens


@pytest.mark.parametrize(
    ("sample", "profiled", "operators", "words"),
    [
        (1.0, 1.6, 1.57, "can't be determined: under the profiler operators took 1.57 times the batch's own time"),
        (1.0, 1.4, 0.6, "can't be determined: the profiler made the batch take 1.40 times as long"),
        (1.0, 1.2, 0.6, None),
        (1.0, 0.9, 0.6, None),
    ],
)
def test_a_share_is_never_clipped_and_what_the_profiler_distorts_is_not_told(sample, profiled, operators, words):
    share, reason = host_bound(sample, profiled, operators)
    assert reason == words
    assert share == (None if words else pytest.approx(0.4))


def test_each_shape_is_gone_through_once():
    # Two batches of two requests, padded to 7, one padded to 5, and a last one of a single request.
    assert first_of_each_shape([[5, 7], [7, 3], [4, 5], [7]]) == [0, 2, 3]


def test_the_caches_size_is_that_of_the_longest_sequence(judged):
    memory = judged.outcome["memory"]
    longest = max(sample["prompt_tokens"] + sample["new_tokens"] - 1 for sample in judged.samples)
    assert memory["kv_cache_positions"] == longest
    assert memory["kv_cache_bytes"] == 2 * 2 * longest * 64 * 4  # keys and values, two layers, two heads of 32, float32
