import copy
import json

import yaml

from scripts.study import configuration, record
from tests.workflow.project import ROOT

BUILT_IN = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))


def recorded(changes):
    config = laid_over(BUILT_IN, changes)
    techniques = configuration.check(config)
    return record.record(config, techniques), techniques


def laid_over(built_in, study):
    """Merge key by key, as Snakemake does."""
    if not (isinstance(built_in, dict) and isinstance(study, dict)):
        return copy.deepcopy(study)
    merged = {
        key: laid_over(value, study[key]) if key in study else copy.deepcopy(value) for key, value in built_in.items()
    }
    return merged | {key: value for key, value in study.items() if key not in built_in}


def test_what_a_report_carries_makes_the_same_study_again():
    study = {
        "select": ["kv_cache", "half"],
        "models": {"small": {"seed": 7}},
        "techniques": {"half": {"extends": "pruned", "pruning": {"amount": 0.5}}},
        "sweeps": {"size": {"technique": "batch_8", "facet": "batch_size", "values": [2, 4]}},
        "scenarios": {"balanced": None},
        "measurement": {"repeats": 2},
        "quality": {"tokenizer": "unicode"},
    }
    found, techniques = recorded(study)
    again = laid_over(BUILT_IN, found)
    assert configuration.check(again) == techniques
    assert configuration.model_settings(again, "small")["seed"] == 7
    assert again["measurement"]["repeats"] == 2
    assert again["quality"] == BUILT_IN["quality"] | {"tokenizer": "unicode"}
    assert again["scenarios"]["balanced"] is None


def test_without_a_selection_every_technique_keeps_its_place():
    study = {"techniques": {"a_half": {"extends": "pruned", "pruning": {"amount": 0.5}}}, "select": []}
    found, techniques = recorded(study)
    sorted_keys = json.loads(json.dumps(found, sort_keys=True))
    assert configuration.check(laid_over(BUILT_IN, sorted_keys)) == techniques


def test_another_way_to_write_the_same_is_the_same_record():
    long, _ = recorded({"select": ["pruned", "nf4"]})
    short, _ = recorded({"techniques": {"pruned": {"pruning": {"scope": "global", "amount": 0.3}}},
                         "select": ["pruned", "nf4"]})  # fmt: skip
    assert long == short


def test_every_built_in_technique_can_be_written_as_it_is_resolved():
    found, techniques = recorded({"select": []})
    alone = laid_over(BUILT_IN, {}) | {"techniques": found["techniques"], "select": []}
    assert configuration.check(alone) == techniques


def test_what_the_study_does_not_use_is_no_part_of_it():
    found, _ = recorded({"select": ["kv_cache"], "measurement": {"profile": 3}})
    assert set(found["techniques"]) == {"baseline", "kv_cache"}
    assert set(found["models"]) == {"small"}
    assert not {"file", "hub"} & set(found["dataset"])
    assert "profile" not in found["measurement"]
