"""Taking away the lock of a killed run, and asking whether results can be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.foundation.errors import StudyError
from scripts.study import results_folder, running

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def locked(tmp_path, monkeypatch):
    """The current folder, with a lock of Snakemake's in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / running.SNAKEMAKES).mkdir(parents=True)
    lock = tmp_path / running.SNAKEMAKES / "0.output.lock"
    lock.write_text("results/report.html\n")
    return lock


def working(folder, code, *names):
    process = subprocess.Popen(
        [sys.executable, "-c", f"{code}; print('there', flush=True); import time; time.sleep(60)", *names],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
    )  # fmt: skip
    process.stdout.readline()
    return process


@pytest.mark.parametrize(
    ("code", "names"), [("from scripts.study import running; running.hold()", []), ("pass", ["snakemake", "--cores"])]
)
def test_the_lock_of_a_living_run_stays_and_that_of_a_killed_one_goes(locked, code, names):
    process = working(locked.parents[2], code, *names)
    try:
        with pytest.raises(StudyError, match=r"another Snakemake works in .+\."):
            running.unlock()
        assert locked.exists()
    finally:
        process.kill()
        process.communicate()
    assert running.unlock()
    assert not locked.exists()
    assert not running.unlock()


def test_a_snakemake_of_another_folder_is_no_hindrance(locked, tmp_path_factory):
    process = working(tmp_path_factory.mktemp("other"), "pass", "snakemake")
    try:
        assert running.unlock()
    finally:
        process.kill()
        process.communicate()


def test_nothing_is_unlocked_where_it_cannot_be_told(locked, monkeypatch):
    def refuse(*_):
        raise OSError("no locks here")

    monkeypatch.setattr(running.fcntl, "flock", refuse)
    assert not running.unlock()
    assert locked.exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    results = tmp_path / "results"
    (results / "logs").mkdir(parents=True)
    results_folder.check(results)
    results_folder.check(tmp_path / "not yet")
    monkeypatch.setattr(results_folder.os, "access", lambda path, _: Path(path).name != "logs")
    with pytest.raises(StudyError, match=r"results/logs can't be written; .+\."):
        results_folder.check(results)
    assert sorted(results.iterdir()) == [results / "logs"]
