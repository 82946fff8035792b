"""What is read before Snakemake reads anything."""

import pytest

from scripts.study import configuration, door


def test_a_study_that_cannot_be_used_ends_with_a_sentence(tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text("title: [1\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"^error: .*study\.yaml, line"):
        door.check([study], [], replace=False)


def test_a_fault_of_the_checks_is_left_to_the_workflow_to_show(monkeypatch):
    """Snakemake would take it for a fault of its profile, and print its usage."""

    def broken(config):
        raise ZeroDivisionError

    monkeypatch.setattr(configuration, "check_form", broken)
    door.check([], [], replace=False)
