import pytest

from scripts.foundation.errors import StudyError
from scripts.runtime.errors import EvidenceError
from scripts.study import configuration, layers
from scripts.techniques.registry import load_facet
from tests.support.observations import observation
from tests.support.worker_runs import run_worker

FACET = load_facet("max_new_tokens")


@pytest.mark.parametrize("facets", [{}, {"engine": "graph"}, {"batch_size": 2}, {"speculation": {"prompt_lookup": 2}}])
def test_a_technique_stops_at_its_own_limit(checkpoint, evaluation_set, facets):
    run = run_worker(checkpoint, evaluation_set, {"max_new_tokens": 3} | facets, max_new_tokens=12)
    assert max(map(len, run.tokens)) == 3
    assert run.evidence["max_new_tokens"] == {"longest_observed_tokens": 3}


def test_longer_answers_contradict_it():
    with pytest.raises(EvidenceError, match="max_new_tokens is 3, but an answer of"):
        FACET.evidence(3, None, observation(new_tokens=4))


@pytest.mark.parametrize("value", [0, True, 2.0])
def test_what_is_no_limit_is_refused(value):
    with pytest.raises(StudyError, match="max_new_tokens is"):
        FACET.check(value, {})


def test_a_sweep_has_several_limits():
    sweep = "sweeps={limits: {technique: kv_cache, facet: max_new_tokens, values: [8, 16]}}"
    techniques = configuration.check(layers.read([], ["select=[kv_cache]", sweep]).config)
    limits = {technique.name: technique.settings.get("max_new_tokens") for technique in techniques}
    assert limits == {"kv_cache": None, "limits_8": 8, "limits_16": 16}
    assert not any(technique.lossless for technique in techniques[1:])
