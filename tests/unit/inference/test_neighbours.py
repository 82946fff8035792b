"""Runs of one node beside each other, or alone."""

import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from scripts.inference import neighbours

ROOT = Path(__file__).resolve().parents[3]

RUN = """
import json, sys, time
from pathlib import Path
from scripts.inference import neighbours

neighbours.POLL_SECONDS = 0.005
directory, alone, hold = Path(sys.argv[1]), sys.argv[2] == "alone", float(sys.argv[3])
print("asks", flush=True)
with neighbours.beside(alone=alone, directory=directory):
    began = time.monotonic()
    print("holds", flush=True)
    time.sleep(hold)
    print(json.dumps([began, time.monotonic()]), flush=True)
"""


@pytest.fixture
def run(tmp_path):
    """Starts runs that hold the node, and ends them with the test."""
    processes = []

    def begin(how, hold=60.0):
        command = [sys.executable, "-c", RUN, str(tmp_path), how, str(hold)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
        assert processes[-1].stdout.readline() == "asks\n"
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def held(process):
    assert process.stdout.readline() == "holds\n"


def spans(processes):
    return sorted(json.loads(process.stdout.read().splitlines()[-1]) for process in processes)


def test_runs_are_beside_each_other_and_never_beside_one_that_is_alone(run):
    ordinary = [run("beside", 0.6), run("beside", 0.6)]
    for process in ordinary:
        held(process)
    alone = [run("alone", 0.2), run("alone", 0.2)]
    together, after = spans(ordinary), spans(alone)
    assert together[1][0] < together[0][1]
    assert after[0][0] >= max(end for _, end in together)
    assert all(second[0] >= first[1] for first, second in pairwise(after))


def test_one_that_waits_to_be_alone_is_passed_by_none(run):
    first = run("beside", 0.5)
    held(first)
    alone = run("alone", 0.2)
    time.sleep(0.1)
    later = run("beside", 0.1)
    (begins, ends), (later_begins, _) = spans([alone])[0], spans([later])[0]
    assert begins < ends <= later_begins


def test_one_that_is_killed_holds_nothing_and_keeps_no_one_waiting(run):
    holding, waiting = run("alone"), run("alone")
    held(holding)
    waiting.kill()
    holding.kill()
    held(run("beside", 0))


def test_others_are_counted_while_they_run_and_this_process_is_not(run, tmp_path):
    assert neighbours.others(tmp_path) == 0
    first, second = run("beside"), run("beside")
    held(first), held(second)
    with neighbours.beside(alone=False, directory=tmp_path):
        assert neighbours.others(tmp_path) == 2
        first.kill()
        first.wait()
        assert neighbours.others(tmp_path) == 1
    assert len(list(tmp_path.glob("*.run"))) == 1
