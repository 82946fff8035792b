"""Architectures with parts of their own on two ranks: norms of heads and after blocks, windows, fused projections."""

import pytest

from tests.support import families
from tests.support.engine_cases import NEW, PROMPTS, TOGETHER, case, greedy
from tests.support.engine_group import run_engines
from tests.support.rounded_cache import rounded_tokens

NAMES = ["qwen3", "gemma2", "gemma3", "phi4"]
WAYS = {
    "tensor": {"parallel": {"tensor": 2}, "batch_size": 6},
    "pipeline": {"parallel": {"pipeline": 2}, "batch_size": 6},
}
INT8 = {"kv_cache": {"dtype": "int8"}}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root, found = tmp_path_factory.mktemp("models"), {}
    for name in NAMES:
        found[name] = root / name
        families.model_of(name).save_pretrained(found[name])
    return found


@pytest.fixture(scope="module")
def groups(models, tmp_path_factory):
    cases = {f"{name}-{way}": case(models[name], facets, TOGETHER) for name in NAMES for way, facets in WAYS.items()}
    cases |= {f"{way}-int8": case(models["gemma3"], facets | INT8, TOGETHER) for way, facets in WAYS.items()}
    return run_engines(cases, 2, tmp_path_factory.mktemp("group"))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_two_ranks_write_what_transformers_does(models, groups, name, way):
    expected = greedy(models[name])
    for report in groups[f"{name}-{way}"]:
        assert report["tokens"][0] == expected


@pytest.mark.parametrize("way", WAYS)
def test_two_ranks_keep_a_cache_in_8_bits(groups, way):
    expected = rounded_tokens(families.model_of("gemma3"), PROMPTS, NEW, "int8")
    for report in groups[f"{way}-int8"]:
        assert report["tokens"][0] == expected
        facts = report["evidence"]["kv_cache"]
        assert facts["stored_dtype"] == "int8"
        assert facts["cache_bytes"] < 0.3 * facts["cache_bytes_in_model_dtype"]
