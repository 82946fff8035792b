"""What the terminal's line of a finished step says where there are no figures."""

import json

import pytest

from scripts.foundation import failures
from scripts.terminal import outcome


def said(tmp_path, name, **record):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record), encoding="utf-8")
    return outcome.of([str(path)])


def test_a_run_that_failed_says_why_and_the_figures_do_not_say_it_again(tmp_path):
    failed = {"status": "failed", "reason": "the server ended early."}
    assert said(tmp_path, "load.json", **failed) == "failed: the server ended early"
    assert said(tmp_path, "metrics/graph.json", **failed, runs=[{"run": 1}]) is None


def test_files_that_can_not_be_scored_are_told_with_the_figures(tmp_path):
    reason = "load.json: 'levels' is missing; delete the file and run again."
    assert said(tmp_path, "metrics/graph.json", status="failed", reason=reason, runs=[]) == f"failed: {reason[:-1]}"


@pytest.mark.parametrize("status", ["out_of_memory"])
def test_the_status_is_not_said_twice(tmp_path, status):
    reason = "Out of memory: vLLM ran out of memory before it was ready."
    assert said(tmp_path, "run.json", status=status, reason=reason) == reason[:-1]
    assert failures.told(status, reason) == reason
    by_library = "CUDA out of memory. Tried to allocate 2.00 GiB."
    assert failures.told(status, by_library) == by_library
    assert failures.told("invalid", "the cache was on.") == "invalid: the cache was on."
