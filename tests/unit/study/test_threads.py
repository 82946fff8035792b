"""No setting asks for more CPU threads than there are cores."""

import pytest

from scripts.foundation.errors import StudyError
from scripts.inference import machine
from scripts.study import layers
from scripts.study.configuration import check


@pytest.fixture
def studied(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: 4)

    def of(text):
        (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
        return check(layers.read([tmp_path / "study.yaml"], []).config)

    return of


@pytest.mark.parametrize(("text", "message"), [
    ("measurement: {threads: 1000}", r"measurement\.threads is 1000, and this machine has 4 cores to use; set it to 4 "
     "or less, to 0 for all of them, or to auto. Where the runs are made on other machines, give these a name in "
     r"measurement\.machine\."),
    ("models: {small: {train: {threads: 5}}}", r"models\.small\.train\.threads is 5, and .* to 4 or less\. Where the"),
])  # fmt: skip
def test_more_threads_than_cores_are_refused(studied, text, message):
    with pytest.raises(StudyError, match=message):
        studied(text)


@pytest.mark.parametrize("text", [
    "measurement: {threads: 4}",
    "measurement: {threads: 0}",
    "measurement: {threads: auto}",
    "measurement: {threads: 64, machine: our cluster}",
    "select: [baseline]\nmodels: {large: {train: {threads: 64}}}",
])  # fmt: skip
def test_other_numbers_are_not(studied, text):
    assert studied(text)
