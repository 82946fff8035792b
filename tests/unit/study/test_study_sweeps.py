import pytest

from scripts.foundation.errors import StudyError
from scripts.study import configuration
from scripts.study.sweeps import point_name, unfold
from tests.unit.study.test_study_schema import built_in, changed, refusal

ENTRIES = {
    "plain": {"label": "Plain", "model": "small", "kv_cache": "dynamic"},
    "pruned": {"label": "Pruned", "extends": "plain", "pruning": {"method": "magnitude", "amount": 0.3}},
    "short": {"extends": "plain", "pruning": "magnitude"},
}


def sweep(technique, facet, *values):
    return {"sweep": {"technique": technique, "facet": facet, "values": list(values)}}


def test_a_facet_that_the_technique_sets_is_varied_beside_it():
    entries, [described] = unfold(ENTRIES, sweep("pruned", "pruning.amount", 0.1, 0.5))
    point = entries["sweep_0p5"]
    assert point["extends"] == "plain"
    assert point["pruning"]["amount"] == 0.5
    assert point["pruning"]["method"] == "magnitude"
    assert point["label"] == "Pruned: amount 0.5"
    assert described["points"] == [
        {"value": 0.1, "technique": "sweep_0p1"}, {"value": 0.5, "technique": "sweep_0p5"}
    ]  # fmt: skip
    assert entries["pruned"] == ENTRIES["pruned"]


def test_a_shorthand_keeps_its_other_options():
    entries, _ = unfold(ENTRIES, sweep("short", "pruning.amount", 0.7))
    assert entries["sweep_0p7"]["pruning"] == {"method": "magnitude", "amount": 0.7, "scope": "global"}


def test_a_facet_that_it_does_not_set_extends_it():
    entries, _ = unfold(ENTRIES, sweep("plain", "batch_size", 4))
    assert entries["sweep_4"] == {"label": "Plain: batch_size 4", "extends": "plain", "batch_size": 4}


def test_each_point_is_a_technique_of_the_study_that_differs_from_its_parent_in_the_facet_alone():
    config = changed("sweeps", sweep("pruned", "pruning.amount", 0.1, 0.7) | {
        "batch": {"technique": "kv_cache", "facet": "batch_size", "values": [1, 16]},
        "drafted": {"technique": "speculative", "facet": "speculation.tokens", "values": [1, 8]},
    })  # fmt: skip
    techniques = {technique.name: technique for technique in configuration.check(config)}
    assert set(techniques["sweep_0p7"].difference) == {"pruning"}
    assert techniques["drafted_8"].settings["speculation"] == {"draft": "small", "tokens": 8}
    assert techniques["drafted_8"].parent == "target_only"
    assert techniques["batch_16"].settings["batch_size"] == 16
    assert "batch_size" not in techniques["batch_1"].settings
    assert [point["technique"] for point in configuration.sweeps_of(config)[1]["points"]] == ["batch_1", "batch_16"]


def test_points_run_beside_those_selected():
    config = changed("sweeps", sweep("pruned", "pruning.amount", 0.1))
    config["select"] = ["baseline", "kv_cache"]
    assert [technique.name for technique in configuration.check(config)] == ["baseline", "kv_cache", "sweep_0p1"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (sweep("prunde", "pruning.amount", 0.1), "sweeps.sweep.technique is 'prunde', which is no technique; perhaps"),
        (sweep("pruned", "prunning.amount", 0.1), "sweeps.sweep.facet is 'prunning', which is no facet; perhaps"),
        (sweep("pruned", "pruning.amount", 1.5), "techniques.sweep_1p5.pruning"),
        (sweep("pruned", "pruning.share", 0.5), "techniques.sweep_0p5.pruning"),
        (sweep("speculative", "batch_size", 4), "batch_size does not compose with speculation"),
        (sweep("pruned", "pruning.amount"), "sweeps.sweep.values"),
        ({"nf4": {"technique": "kv_cache", "facet": "batch_size", "values": ["pruned"]}}, "which there is already"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_one_sentence(given, sentence):
    assert sentence in refusal(changed("sweeps", given))


def test_names_of_points_are_names_of_techniques():
    assert point_name("amount", 0.25) == "amount_0p25"
    assert point_name("amount", -1) == "amount_m1"
    with pytest.raises(StudyError):
        unfold(ENTRIES | {"sweep_4": {}}, sweep("plain", "batch_size", 4))


def test_the_built_in_study_has_none():
    assert configuration.sweeps_of(built_in()) == []
