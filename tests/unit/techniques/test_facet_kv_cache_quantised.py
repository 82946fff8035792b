"""A quantised KV cache: what it holds, what it refuses, and what is said where its package is missing."""

from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from scripts.foundation.errors import StudyError
from scripts.hardware import sizes
from scripts.runtime.errors import UnsupportedError
from scripts.runtime.place import Place
from scripts.study.techniques import resolve
from scripts.techniques.costs import costs_of
from scripts.techniques.kv_cache import cache as quantised
from scripts.techniques.kv_cache.facet import FACET
from scripts.techniques.kv_cache.groups import fits, group_size
from tests.support.worker_runs import run_worker, settings

NUMBERS = 2 * 2 * 2 * 32  # of a token: keys and values, layers, heads, width
DTYPES = ["fp8", *(["int8", "int4"] if find_spec("hqq") else [])]
SHAPE = {"layers": 2, "hidden": 128, "heads": 4, "kv_heads": 2, "head_dim": 32, "intermediate": 128, "vocabulary": 320}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("facets", [{}, {"batch_size": 3}], ids=str)
def test_keys_and_values_are_held_in_few_bits(checkpoint, evaluation_set, greedy, dtype, facets):
    run = run_worker(checkpoint, evaluation_set, {"kv_cache": {"dtype": dtype}} | facets)
    facts, memory = run.evidence["kv_cache"], run.outcome["memory"]
    assert (facts["cache_class"], facts["bits"]) == ("QuantizedCache", 4 if dtype == "int4" else 8)
    assert facts["group_size"] == (None if dtype == "fp8" else 32)
    assert facts["cache_bytes_in_model_dtype"] == memory["kv_cache_positions"] * NUMBERS * 4
    cost = costs_of(settings(kv_cache={"dtype": dtype}))
    positions, plain = memory["kv_cache_positions"], memory["kv_cache_plain_positions"]
    computed = sizes.kv_cache_bytes(SHAPE, cost, "float32", positions, plain)
    assert facts["cache_bytes"] == memory["kv_cache_bytes"] == pytest.approx(computed, abs=32)
    assert facts["cache_bytes"] < 0.7 * facts["cache_bytes_in_model_dtype"]
    assert facts["quantised_tokens"] + facts["tokens_in_model_dtype"] == facts["cache_length_tokens"]
    # Until the first step nothing is rounded.
    assert [tokens[0] for tokens in run.tokens] == [tokens[0] for tokens in greedy.tokens]


def test_another_cache_is_invalid(checkpoint, evaluation_set, monkeypatch):
    monkeypatch.setattr(quantised, "options", lambda *arguments: {})
    outcome = run_worker(checkpoint, evaluation_set, {"kv_cache": {"dtype": "fp8"}}).outcome
    assert (outcome["status"], "kept a DynamicCache" in outcome["reason"]) == ("invalid", True)


def test_other_bits_than_asked_are_invalid(checkpoint, evaluation_set, monkeypatch):
    monkeypatch.setitem(quantised.BITS, "fp8", 4)
    outcome = run_worker(checkpoint, evaluation_set, {"kv_cache": {"dtype": "fp8"}}).outcome
    assert (outcome["status"], "takes [8.0] bits" in outcome["reason"]) == ("invalid", True)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("scripts.techniques.kv_cache.facet.find_spec", lambda name: None)
    with pytest.raises(UnsupportedError, match="needs the package hqq, which is not installed; install it with"):
        FACET.check_machine({"dtype": "int8"}, Place("cpu"))
    FACET.check_machine({"dtype": "fp8"}, Place("cpu"))
    FACET.check_machine("dynamic", Place("cpu"))


@pytest.mark.parametrize(
    ("facets", "sentence"),
    [
        ({"engine": {"name": "transformers_static"}}, "does not compose with engine 'transformers_static'"),
        ({"speculation": {"prompt_lookup": 3}}, "does not compose with speculation"),
        ({"parallel": {"tensor": 2}}, "does not compose with parallel"),
    ],
)
def test_what_does_not_compose_is_refused(facets, sentence):
    with pytest.raises(StudyError) as refused:
        FACET.check({"dtype": "int8"}, facets)
    assert sentence in str(refused.value)


def test_a_window_is_refused():
    from transformers import MistralConfig

    with pytest.raises(UnsupportedError, match="this 'mistral' model has sliding attention"):
        FACET.check_model({"dtype": "fp8"}, MistralConfig(sliding_window=8))


def test_a_configuration_that_was_read_without_transformers_is_judged_too():
    plain = {"model_type": "llama", "hidden_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2}
    FACET.check_model(FACET.resolve({"dtype": "int4"}), SimpleNamespace(**plain))
    FACET.check_model({"dtype": "fp8"}, SimpleNamespace(**plain, sliding_window=8, use_sliding_window=False))
    with pytest.raises(UnsupportedError, match="has sliding attention"):
        FACET.check_model({"dtype": "fp8"}, SimpleNamespace(**plain, sliding_window=8))


def test_groups_fill_heads_and_pairs():
    sizes_by_width = {width: group_size("int8", None, width, 1) for width in (32, 48, 64, 80, 128)}
    assert sizes_by_width == {32: 32, 48: 16, 64: 64, 80: 16, 128: 64}
    assert group_size("int4", None, 64, 1) == 32
    assert not fits("int8", 64, 80, 8)
    text = SimpleNamespace(head_dim=80, num_key_value_heads=8, hidden_size=640, num_attention_heads=8)
    config = SimpleNamespace(get_text_config=lambda decoder: text, model_type="llama", num_hidden_layers=2)
    assert quantised.options(FACET.resolve({"dtype": "int8"}), config)["cache_config"]["q_group_size"] == 16


def test_fp8_has_no_groups():
    with pytest.raises(StudyError, match="kv_cache in fp8 has no option 'group_size'"):
        FACET.resolve({"dtype": "fp8", "group_size": 32})


def test_rounded_keys_promise_no_token_in_either_direction():
    entries = {
        "cached": {"model": "small", "kv_cache": "dynamic"},
        "rounded": {"extends": "cached", "kv_cache": {"dtype": "fp8"}},
        "batched": {"extends": "rounded", "batch_size": 4},
        "again": {"extends": "rounded", "kv_cache": "dynamic"},
        "plain": {"extends": "cached", "batch_size": 4},
    }
    found = {each.name: each.lossless for each in resolve(entries, [], {"small"})}
    assert found == {"cached": False, "rounded": False, "batched": False, "again": False, "plain": True}
