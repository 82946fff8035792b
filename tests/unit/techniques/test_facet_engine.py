"""The facet ``engine``: the same tokens from another loop, and proof that it was that loop."""

from types import SimpleNamespace

import pytest

from scripts.engine import engine as loop
from scripts.foundation.errors import StudyError
from scripts.runtime.errors import EvidenceError
from scripts.runtime.generation import ContinuousBatchTrace
from scripts.runtime.models import Loaded
from scripts.techniques.engine.facet import FACET
from scripts.techniques.engine.transformers_continuous.loop import ContinuousEngine
from tests.support.observations import observation
from tests.support.tiny_checkpoint import make_checkpoint, variant
from tests.support.worker_runs import run_worker

GRAPH = {"engine": "graph"}
CONTINUOUS = {"name": "transformers_continuous", "slots": 2}
FIXED = {"new_tokens": 9, "samples": 2}


@pytest.mark.parametrize(
    "facets",
    [
        {"engine": "transformers_static"},
        GRAPH,
        {"engine": {"name": "graph", "shared_prefix": True}},
        {"engine": "graph", "batch_size": 2},
        {"engine": {"name": "graph", "shared_prefix": True}, "batch_size": 3},
        {"engine": "transformers_static", "batch_size": 2},
        {"engine": "transformers_continuous", "batch_size": 3},
        {"engine": CONTINUOUS, "batch_size": 3},
        {"engine": CONTINUOUS | {"slots": 2}, "batch_size": 2},
    ],
)
def test_another_engine_changes_no_token(checkpoint, evaluation_set, greedy, facets):
    run = run_worker(checkpoint, evaluation_set, facets)
    assert run.tokens == greedy.tokens
    for own, other in zip(run.samples, greedy.samples, strict=True):
        for key in ("id", "prompt_tokens", "new_tokens", "text", "stop_reason"):
            assert own[key] == other[key]


@pytest.mark.parametrize("form", [{"bias": True}, {"tied": True}, {"kv_heads": 4}, {"kv_heads": 1, "layers": 3}])
def test_each_loop_runs_every_form_of_the_model(tmp_path, evaluation_set, form):
    checkpoint = make_checkpoint(tmp_path / "model", **form)
    greedy = run_worker(checkpoint, evaluation_set, {}).tokens
    for facets in (GRAPH, {"engine": CONTINUOUS, "batch_size": 3}):
        assert run_worker(checkpoint, evaluation_set, facets).tokens == greedy


@pytest.mark.parametrize(
    "facets",
    [
        {"pruning": {"method": "magnitude", "amount": 0.5}},
        {"pruning": {"method": "structured", "amount": 0.5}},
        {"quantization": "nf4"},
    ],
)
def test_each_loop_composes_with_what_changes_the_weights(checkpoint, evaluation_set, facets):
    stock = run_worker(checkpoint, evaluation_set, facets).tokens
    for engine in (GRAPH, {"engine": CONTINUOUS, "batch_size": 3}):
        assert run_worker(checkpoint, evaluation_set, engine | facets).tokens == stock


def test_a_stop_token_ends_a_headline_and_the_fixed_mode_goes_on(chain, evaluation_set, tmp_path):
    ending = variant(chain, tmp_path / "ending", generation_config={"bos_token_id": 0, "eos_token_id": [1, 20]})
    for facets in (GRAPH, GRAPH | {"batch_size": 2}):
        run = run_worker(ending, evaluation_set, facets, fixed=FIXED)
        assert [sample["new_tokens"] for sample in run.samples] == [4, 4, 4]
        assert {sample["stop_reason"] for sample in run.samples} == {"end"}
        assert [sample["new_tokens"] for sample in run.fixed] == [9, 9]
        assert run.fixed[0]["token_ids"][:4] == run.samples[0]["token_ids"]


def test_times_of_tokens_rise_and_end_with_the_latency(checkpoint, evaluation_set):
    for sample in run_worker(checkpoint, evaluation_set, GRAPH).samples:
        times = sample["token_times_s"]
        assert len(times) == sample["new_tokens"]
        assert 0 < times[0] == sample["ttft_s"]
        assert times == sorted(times)
        assert times[-1] == sample["latency_s"] <= sample["batch_time_s"]


def test_the_loop_proves_itself(checkpoint, evaluation_set):
    run = run_worker(checkpoint, evaluation_set, {"engine": {"name": "graph", "shared_prefix": True}}, thorough=True)
    facts = run.evidence["engine"]
    assert facts["cache_class"] == "StaticCache"
    assert facts["recorded_while_timed"] == 0
    # "Write: " begins every prompt; the prefix is read once, and what stands behind it by each request.
    assert facts["prefix_tokens"] > 0
    assert run.evidence["kv_cache"]["longest_step_tokens"] == 1
    assert run.outcome["compile_time_s"] > 0
    assert run.outcome["time"]["target_forward_s"] > 0
    # Each token is the best one for transformers' own forward, which knows nothing of the loop.
    assert [sample["argmax_agrees"] for sample in run.samples] == [sample["new_tokens"] for sample in run.samples]
    # The cache is reserved in full, and counted as it lies in memory.
    assert run.outcome["memory"]["kv_cache_bytes"] == facts["cache_positions"] * 2 * 2 * 2 * 32 * 4


def test_a_loop_that_records_while_it_is_timed_is_invalid(checkpoint, evaluation_set, monkeypatch):
    reserve = loop.GraphEngine.reserve
    monkeypatch.setattr(loop.GraphEngine, "reserve", lambda self, batches, tokens: reserve(self, batches[:1], tokens))
    run = run_worker(checkpoint, evaluation_set, GRAPH)
    assert run.outcome["status"] == "invalid"
    assert run.outcome["reason"].startswith("engine 'graph' recorded ")


def test_a_loop_with_an_unusual_cache_is_invalid(checkpoint):
    class DynamicCache:
        pass

    for name in ("graph", "transformers_static"):
        with pytest.raises(EvidenceError, match=f"engine '{name}' keeps a StaticCache, but generation used a Dynamic"):
            FACET.evidence({"name": name}, Loaded(None, None, {}), observation(cache=DynamicCache()))


def test_continuous_batching_proves_itself(checkpoint, evaluation_set):
    run = run_worker(checkpoint, evaluation_set, {"engine": CONTINUOUS, "batch_size": 3})
    facts = run.evidence["engine"]
    assert facts["cache_class"] == run.evidence["kv_cache"]["cache_class"] == "PagedAttentionCache"
    assert facts["slots"] == facts["most_sequences"] == 2
    # Two requests, and the third when the first of them has ended.
    lengths = sorted((sample["prompt_tokens"], sample["new_tokens"]) for sample in run.samples)
    assert facts["forwards"] == min(lengths[0][1], lengths[1][1]) + lengths[2][1]
    assert 1 < facts["mean_sequences_per_step"] < 2
    given = run.evidence["kv_cache"]["tokens_given"]
    assert given == sum(prompt + new - 1 for prompt, new in lengths)


def test_more_requests_under_way_than_slots_are_invalid(checkpoint, evaluation_set, monkeypatch):
    reserve = ContinuousEngine.reserve

    def wider(self, batches, tokens):
        self.slots = 3
        reserve(self, batches, tokens)
        self.slots = 2

    monkeypatch.setattr(ContinuousEngine, "reserve", wider)
    run = run_worker(checkpoint, evaluation_set, {"engine": CONTINUOUS, "batch_size": 3})
    assert run.outcome["status"] == "invalid"
    assert run.outcome["reason"] == (
        "engine 'transformers_continuous' has 2 slots, but 3 requests were under way together."
    )


@pytest.mark.parametrize(
    ("given", "threads", "sentence"),
    [
        ([[4, 5, 6], [1, 1, 1]], 1, "has 2 slots, but 3 requests were under way together"),
        ([[4, 5], [1, 1]], 4, "ran the model with 4 CPU threads instead of 1"),
        ([], 1, "was not seen to run the model"),
    ],
)
def test_continuous_batching_that_is_none_is_refused(given, threads, sentence):
    class PagedAttentionCache:
        pass

    seen = observation(cache=PagedAttentionCache(), trace=ContinuousBatchTrace(2, given, [2, 2, 2]))
    generator = SimpleNamespace(facts=lambda: {"threads": threads, "threads_asked": 1})
    loaded = SimpleNamespace(generator=generator)
    with pytest.raises(EvidenceError, match=sentence):
        FACET.evidence(CONTINUOUS, loaded, seen)
    with pytest.raises(EvidenceError, match="keeps a PagedAttentionCache, but generation used a NoneType"):
        FACET.evidence(CONTINUOUS, loaded, observation(trace=seen.trace))


def test_a_text_longer_than_the_model_says_so(checkpoint, evaluation_set):
    run = run_worker(checkpoint, evaluation_set, GRAPH, max_new_tokens=600)
    assert run.outcome["status"] == "unsupported"
    assert "needs 650 positions, but the 'llama' model has 512;" in run.outcome["reason"]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("vllm", "engine 'vllm' does not exist; use 'transformers', 'endpoint', 'graph', "),
        (
            {"name": "graph", "prefix": 1},
            "engine 'graph' has no option 'prefix'; it has name, shared_prefix, slots, ",
        ),
        ({"name": "transformers_static", "shared_prefix": True}, "engine 'transformers_static' has no option"),
        ({"name": "transformers_static", "slots": 2}, "engine 'transformers_static' has no option 'slots'"),
    ],
)
def test_an_unknown_engine_or_option_is_named(value, sentence):
    with pytest.raises(StudyError, match=sentence.replace(".", r"\.")):
        FACET.resolve(value)


def test_stock_generate_is_no_engine_of_its_own():
    assert FACET.resolve("transformers") is FACET.resolve(None) is FACET.resolve({"name": "transformers"}) is None


def test_continuous_batching_has_slots_by_default():
    assert FACET.resolve("transformers_continuous") == {"name": "transformers_continuous", "slots": 8}
    assert FACET.resolve({"name": "transformers_continuous", "slots": 3})["slots"] == 3


@pytest.mark.parametrize(
    ("slots", "facets", "sentence"),
    [
        (0, {"batch_size": 4}, "engine.slots is 0; give a whole number from 2."),
        (True, {"batch_size": 4}, "engine.slots is True; give a whole number from 2."),
        (2.5, {"batch_size": 4}, "engine.slots is 2.5; give a whole number from 2."),
        (1, {"batch_size": 4}, "engine.slots is 1; give a whole number from 2."),
        (8, {}, "engine 'transformers_continuous' serves requests that are handed over together; set batch_size to 2"),
        (8, {"batch_size": 4, "parallel": {"tensor": 2}}, "'transformers_continuous' does not compose with parallel;"),
        (8, {"speculation": {"prompt_lookup": 4}}, "'transformers_continuous' does not compose with speculation;"),
    ],
)
def test_what_continuous_batching_does_not_go_with_is_named(slots, facets, sentence):
    value = FACET.resolve({"name": "transformers_continuous", "slots": slots})
    with pytest.raises(StudyError, match=sentence.replace(".", r"\.")):
        FACET.check(value, {"kv_cache": "dynamic"} | facets)


@pytest.mark.parametrize("name", ["graph", "transformers_static", "transformers_continuous"])
def test_without_a_cache_there_is_nothing_static(name):
    with pytest.raises(StudyError, match=f"engine '{name}' does not compose with kv_cache 'none'"):
        FACET.check(FACET.resolve(name), {"kv_cache": "none"})


def test_what_torch_compiled_is_counted(checkpoint, evaluation_set):
    import torch

    def compiled():
        return run_worker(checkpoint, evaluation_set, {"engine": "transformers_static"}).evidence["engine"][
            "compiled_graphs"
        ]

    before = compiled()  # transformers compiles nothing on a CPU
    torch.compile(lambda x: x + 1, backend="eager")(torch.ones(2))
    assert compiled() == before + 1
