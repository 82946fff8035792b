"""The graph engine's KV cache in 8 bits: what it holds, what it composes with, and what it refuses."""

import pytest

from scripts.engine import engine
from scripts.foundation.errors import StudyError
from scripts.hardware import sizes, work
from scripts.runtime.place import Place
from scripts.study.techniques import resolve
from scripts.techniques.costs import costs_of
from scripts.techniques.kv_cache.facet import FACET
from tests.support.worker_runs import run_worker, settings

NUMBERS = 2 * 2 * 2 * 32  # of a token: keys and values, layers, heads, width
SHAPE = {"layers": 2, "hidden": 128, "heads": 4, "kv_heads": 2, "head_dim": 32, "intermediate": 128, "vocabulary": 320}
GRAPH = {"engine": "graph"}
TYPES = {"fp8": "float8_e4m3fn", "int8": "int8"}


def quantised(dtype="fp8"):
    return GRAPH | {"kv_cache": {"dtype": dtype}}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    "facets",
    [
        {},
        {"batch_size": 3},
        {"engine": {"name": "graph", "shared_prefix": True}},
        {"speculation": {"prompt_lookup": 3}},
        {"quantization": "int8_weight_only"},
    ],
    ids=str,
)
def test_keys_and_values_are_held_in_8_bits(checkpoint, evaluation_set, dtype, facets):
    run = run_worker(checkpoint, evaluation_set, quantised(dtype) | facets)
    facts, memory = run.evidence["kv_cache"], run.outcome["memory"]
    assert (facts["cache_class"], facts["bits"], facts["stored_dtype"]) == ("StaticCache", 8, TYPES[dtype])
    assert (facts["group_size"], facts["scale_dtype"]) == (32, "float32")
    assert run.evidence["engine"]["cache_dtype"] == TYPES[dtype]
    computed = sizes.kv_cache_bytes(
        SHAPE, costs_of(settings(**quantised(dtype))), "float32", memory["kv_cache_positions"]
    )
    assert facts["cache_bytes"] == memory["kv_cache_bytes"] == computed
    assert facts["cache_bytes_in_model_dtype"] == memory["kv_cache_positions"] * NUMBERS * 4
    assert facts["cache_bytes"] / facts["cache_bytes_in_model_dtype"] == pytest.approx((32 + 4) / (4 * 32))


def test_it_writes_nearly_what_the_whole_numbers_write(checkpoint, evaluation_set, greedy):
    run = run_worker(checkpoint, evaluation_set, quantised("int8"))
    pairs = [pair for rows in zip(run.tokens, greedy.tokens, strict=True) for pair in zip(*rows, strict=False)]
    assert sum(ours == theirs for ours, theirs in pairs) > 0.5 * len(pairs)


def test_a_cache_in_the_models_dtype_is_invalid(checkpoint, evaluation_set, monkeypatch):
    monkeypatch.setattr(engine, "stored_dtype", lambda facets: None)
    outcome = run_worker(checkpoint, evaluation_set, quantised()).outcome
    assert (outcome["status"], outcome["reason"]) == (
        "invalid", "kv_cache is in fp8, but the graph engine kept the model's dtype."
    )  # fmt: skip


def test_tokens_that_were_never_rounded_are_invalid(checkpoint, evaluation_set, monkeypatch):
    import torch

    observe = engine.GraphEngine.observe

    def forgetting(self, prompts):
        seen = observe(self, prompts)
        with torch.inference_mode():
            for scales in (each for layer in seen.cache.layers for each in layer.scales):
                scales[:, :, 3:] = 0
        return seen

    monkeypatch.setattr(engine.GraphEngine, "observe", forgetting)
    outcome = run_worker(checkpoint, evaluation_set, quantised()).outcome
    assert outcome["status"] == "invalid"
    assert outcome["reason"].startswith("kv_cache is in fp8, but the cache has scales of 3 of ")


@pytest.mark.parametrize(
    ("cache", "sentence"),
    [
        ({"dtype": "int4"}, "kv_cache in int4 does not compose with engine 'graph', whose cache is in int8 or fp8"),
        ({"dtype": "int8", "group_size": 32}, "kv_cache in int8 has no option 'group_size' under engine 'graph'"),
        ({"dtype": "int8", "residual_tokens": 4}, "kv_cache in int8 has no option 'residual_tokens' under engine"),
    ],
)
def test_what_can_not_be_is_refused_before_anything_runs(cache, sentence):
    with pytest.raises(StudyError) as refused:
        settings(**GRAPH, kv_cache=cache)
    assert str(refused.value).startswith(f"techniques.only: {sentence}")


@pytest.mark.parametrize(
    "others",
    [
        {"parallel": {"tensor": 2}},
        {"parallel": {"pipeline": 2}},
        {"speculation": {"draft": "draft", "tokens": 4}},
        {"quantization": "fp8", "batch_size": 8},
        {"pruning": "magnitude"},
    ],
    ids=str,
)
def test_it_composes(others):
    found = settings(**quantised("int8"), **others)
    assert found["kv_cache"] == {"dtype": "int8", "scales": "token_and_head"}
    facet_value = found["kv_cache"]
    FACET.check_machine(facet_value, Place("cpu"))  # without the package that generate's needs
    assert FACET.libraries(facet_value) == ()


def test_windows_are_no_hindrance():
    from transformers import MistralConfig

    FACET.check_model(settings(**quantised())["kv_cache"], MistralConfig(sliding_window=8))


def test_the_engine_decides_how_it_is_kept():
    entries = {
        "cached": {"model": "small", "kv_cache": "dynamic"},
        "rounded": {"extends": "cached", "kv_cache": {"dtype": "int8"}},
        "looped": {"extends": "rounded", "engine": "graph"},
        "loop": {"extends": "cached", "engine": "graph"},
        "loop_rounded": {"extends": "loop", "kv_cache": {"dtype": "int8"}},
        "loop_batched": {"extends": "loop_rounded", "batch_size": 4},
    }
    found = {each.name: each for each in resolve(entries, [], {"small"})}
    own = {"dtype": "int8", "scales": "token_and_head"}
    assert found["rounded"].settings["kv_cache"] == {"dtype": "int8", "group_size": None, "residual_tokens": 128}
    assert found["looped"].settings == found["loop_rounded"].settings
    assert found["looped"].difference == {"engine": found["loop"].settings["engine"], "kv_cache": own}
    assert found["loop_rounded"].difference == {"kv_cache": own}
    assert found["loop_batched"].difference == {"batch_size": 4}
    lossless = {name for name, each in found.items() if each.lossless}
    assert lossless == {"loop"}


def test_traffic_is_counted_as_stored():
    plain, rounded = costs_of(settings(**GRAPH)), costs_of(settings(**quantised()))
    assert rounded.not_counted is None
    read = [work.Model(SHAPE, cost, "bfloat16").forward(1, 1, 1, cached=1000).bytes for cost in (plain, rounded)]
    assert read[0] - read[1] == pytest.approx(1001 * NUMBERS * (2 - (1 + 4 / 32)))
