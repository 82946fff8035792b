import pytest

from scripts.foundation.errors import StudyError
from scripts.runtime.errors import EvidenceError
from scripts.runtime.generation import ContinuousBatchTrace
from scripts.runtime.models import Loaded
from scripts.techniques.kv_cache.facet import FACET
from tests.support.observations import observation
from tests.support.worker_runs import run_worker


@pytest.fixture(scope="module")
def without(checkpoint, evaluation_set):
    return run_worker(checkpoint, evaluation_set, {"kv_cache": "none"})


def test_a_cache_changes_no_token(without, greedy):
    assert without.tokens == greedy.tokens


def test_without_a_cache_every_step_runs_the_whole_sequence(without):
    facts, [sample, *_] = without.evidence["kv_cache"], without.samples
    assert facts["cache_class"] is None
    assert facts["cache_length_tokens"] == 0
    assert facts["forward_calls"] == sample["new_tokens"]
    assert facts["longest_step_tokens"] == sample["prompt_tokens"] + sample["new_tokens"] - 1
    assert without.outcome["generation"]["use_cache"] is False


def test_with_a_cache_every_step_runs_one_token(greedy):
    facts, [sample, *_] = greedy.evidence["kv_cache"], greedy.samples
    assert facts["cache_class"] == "DynamicCache"
    assert facts["cache_length_tokens"] == sample["prompt_tokens"] + sample["new_tokens"] - 1
    assert facts["forward_calls"] == sample["new_tokens"]
    assert facts["longest_step_tokens"] == 1


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("none", "kv_cache is 'none', but generation kept a cache."),
        ("dynamic", "kv_cache is 'dynamic', but the cache holds 0 of "),
    ],
)
def test_the_opposite_of_what_was_asked_is_invalid(checkpoint, evaluation_set, monkeypatch, asked, sentence):
    monkeypatch.setattr(type(FACET), "generation_options", lambda *arguments: {"use_cache": asked == "none"})
    run = run_worker(checkpoint, evaluation_set, {"kv_cache": asked})
    assert run.outcome["status"] == "invalid"
    assert run.outcome["reason"].startswith(sentence)


class Cache:
    def __init__(self, tokens):
        self.tokens = tokens

    def __len__(self):
        return 1

    def get_seq_length(self, layer=0):
        return self.tokens


@pytest.mark.parametrize(
    ("asked", "lengths", "cache", "sentence"),
    [
        ("dynamic", [10, 1, 2], Cache(12), "a decode step was given more than one token"),
        ("dynamic", [10, 11, 12], Cache(12), "a decode step was given more than one token"),
        ("dynamic", [10, 1, 1], Cache(11), "the cache holds 11 of 12 tokens"),
        ("none", [10, 1, 1], None, "generation kept a cache"),
        ("none", [10, 11, 12], Cache(12), "generation kept a cache"),
    ],
)
def test_a_cache_that_does_not_fit_the_steps_is_found(asked, lengths, cache, sentence):
    seen = observation(forward_lengths=lengths, cache=cache)
    with pytest.raises(EvidenceError, match=sentence):
        FACET.evidence(asked, Loaded(None, None, {"kv_cache": asked}), seen)


def test_tokens_that_pass_the_model_twice_are_found_where_requests_join():
    def facts(given):
        seen = observation(
            requests=2, prompt_lengths=[4, 3], trace=ContinuousBatchTrace(2, given, [2, 3]), cache=Cache(0)
        )
        return FACET.evidence("dynamic", Loaded(None, None, {}), seen)

    assert facts([[4, 3], [1, 1], [1]])["tokens_given"] == 10
    with pytest.raises(EvidenceError, match="the model was given 18 tokens where 10 pass it once"):
        facts([[4, 3], [5, 1], [5]])


def test_a_pipeline_stage_shows_the_cache_of_its_own_layers():
    class StageCache(Cache):
        def __len__(self):
            return 2

        def get_seq_length(self, layer=0):
            return 12 if layer == 1 else 0

    seen = observation(cache=StageCache(0))
    assert FACET.evidence("dynamic", Loaded(None, None, {}), seen)["cache_length_tokens"] == 12


@pytest.mark.parametrize("value", ["static", True, 1, {}, {"dtype": "int2"}])
def test_other_values_are_refused(value):
    with pytest.raises(StudyError, match="use 'none' or 'dynamic'"):
        FACET.check(value, {})


def test_speculation_needs_a_cache():
    with pytest.raises(StudyError, match="does not compose with speculation"):
        FACET.check("none", {"speculation": {"prompt_lookup": 4}})
