import pytest

from scripts.foundation.errors import StudyError
from scripts.runtime.errors import UnsupportedError
from scripts.runtime.place import Place
from scripts.techniques.attention.facet import FACET
from tests.support.worker_runs import run_worker


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("kv_cache", ["dynamic", "none"])
def test_no_implementation_changes_a_token(checkpoint, evaluation_set, greedy, implementation, kv_cache):
    run = run_worker(checkpoint, evaluation_set, {"kv_cache": kv_cache, "attention": implementation})
    assert run.tokens == greedy.tokens
    facts = run.evidence["attention"]
    assert facts["implementation"] == implementation
    assert (facts["fused_calls"] == 0) == (implementation == "eager")


@pytest.mark.parametrize(
    ("value", "facets", "sentence"),
    [
        ("flash", {}, "attention is 'flash'; use 'auto', 'eager', 'sdpa' or 'flash_attention_2'."),
        ("sdpa", {"engine": {"name": "graph"}}, "does not compose with engine 'graph', which has an attention"),
        ("flash_attention_2", {"engine": {"name": "transformers_static"}}, "whose cache it can't read"),
        ("eager", {"parallel": {"tensor": 2}}, "does not compose with parallel"),
    ],
)
def test_what_does_not_compose_is_refused(value, facets, sentence):
    with pytest.raises(StudyError) as refused:
        FACET.check(value, facets)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        (Place("cpu"), "needs a GPU"),
        (Place("cuda", (7, 5)), "needs compute capability 8.0; this GPU has 7.5"),
        (Place("cuda", (9, 0)), "needs the package flash-attn, which is not installed"),
    ],
)
def test_flash_attention_says_what_it_lacks(place, sentence):
    with pytest.raises(UnsupportedError, match=sentence):
        FACET.check_machine("flash_attention_2", place)


def test_auto_is_no_change():
    assert FACET.resolve("auto") is None
