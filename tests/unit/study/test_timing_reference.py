import pytest

from scripts.foundation.errors import StudyError
from scripts.study.techniques import resolve
from scripts.study.timing_reference import find

ENTRIES = {
    "batches": {"model": "small", "kv_cache": "dynamic", "batch_size": 8},
    "baseline": {"model": "small", "kv_cache": "none"},
    "kv_cache": {"extends": "baseline", "kv_cache": "dynamic"},
    "ranks": {"extends": "kv_cache", "parallel": {"tensor": 2}},
    "drafted": {"extends": "kv_cache", "speculation": {"draft": "small"}},
    "wanda": {"extends": "kv_cache", "pruning": {"method": "wanda", "amount": 0.3, "calibration": 4}},
}


def found(setting, *names):
    technique = find(setting, resolve(ENTRIES, list(names), {"small"}))
    return technique and technique.name


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), "kv_cache"),
        (("ranks", "batches", "baseline"), "baseline"),
        (("ranks", "batches"), "batches"),
        (("ranks", "drafted", "wanda"), None),
    ],
)
def test_auto_takes_the_plainest_technique_that_the_study_has(names, expected):
    assert found("auto", *names) == expected


def test_it_can_be_named_or_left_out():
    assert found("batches") == "batches"
    assert found("none") is None


@pytest.mark.parametrize(
    ("setting", "names", "sentence"),
    [
        ("nothing", (), "measurement.reference is 'nothing', which is no technique of this study"),
        ("kv_cache", ("baseline",), "no technique of this study"),
        ("ranks", (), "'ranks', which takes several processes"),
        ("drafted", (), "a second model"),
        ("wanda", (), "training rows"),
    ],
)
def test_what_can_not_be_one_is_refused(setting, names, sentence):
    with pytest.raises(StudyError, match=sentence):
        found(setting, *names)
