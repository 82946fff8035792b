"""The reference of a run: its turns, its room, and how it ends. The processes here are stand-ins."""

import contextlib
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from scripts.foundation.errors import StudyError
from scripts.inference import child, launch, reference, reference_worker
from scripts.inference.reference import Reference, ReferenceClient, Turns, missing_memory

IMPORTED = "import sys, time; print('{}', flush=True); sys.stdin.readline(); "
READY = IMPORTED + "print('{}', flush=True); "
HANGS = "time.sleep(60)"


@pytest.fixture
def stand_in():
    """Makes a reference of a piece of code; ended in any case."""
    with contextlib.ExitStack() as ending:

        def make(code):
            made = Reference(child.spawned([sys.executable, "-c", code]), "plain")
            ending.callback(made.close)
            made.wait_for_imports()
            return made

        yield make


def taken(durations, readings, lasting=0.0):
    """What turns there are beside batches of these seconds: the readings of each batch, and how many were taken."""
    left = iter(readings)

    def turn():
        time.sleep(lasting)
        return next(left)

    kept = []
    turns = Turns(turn, lambda: None, kept)
    turns.begin()
    for seconds in durations:
        turns.after(seconds)
    return turns.end(), kept, turns


def test_a_batch_has_the_mean_of_the_readings_around_it():
    local, kept, _ = taken([0.1, 0.1], [1.0, 3.0, 5.0])
    assert kept == [1.0, 3.0, 5.0]
    assert local == [2.0, 4.0]


def test_short_batches_share_a_block():
    # 50 ms are full with the third; what is left over at the end has a turn of its own.
    local, kept, _ = taken([0.02] * 4, [1.0, 2.0, 4.0])
    assert len(kept) == 3
    assert local == [1.5, 1.5, 1.5, 3.0]


def test_a_block_lasts_as_long_as_the_turn_before_it():
    local, _, turns = taken([0.06] * 4, range(1, 9), lasting=0.1)
    assert local == [1.5, 1.5, 2.5, 2.5]
    assert turns.seconds == pytest.approx(0.3, abs=0.1)


def test_every_rank_meets_before_and_after_each_turn():
    met = []
    turns = Turns(lambda: met.append("turn") or 1.0, lambda: met.append("meet"), [])
    turns.begin()
    turns.after(0.01)
    turns.after(0.06)
    assert met == ["meet", "turn", "meet", "meet", "meet", "meet", "turn", "meet"]


def test_without_a_reference_there_are_no_readings():
    turns = Turns(None, lambda: None, [])
    turns.begin()
    turns.after(1.0)
    assert turns.end() == [None]


def test_a_reference_that_dies_is_one_sentence(stand_in):
    dying = stand_in(READY + "sys.stdin.readline(); sys.exit(3)")
    assert dying.load() is None
    with pytest.raises(StudyError, match=r"the reference process \(plain\) ended with status 3 while it was needed"):
        dying.turn()


def test_a_reference_that_hangs_is_one_sentence_and_does_not_stay(stand_in, monkeypatch):
    monkeypatch.setattr(reference, "ANSWER_S", 0.2)
    monkeypatch.setattr(reference, "END_S", 0.2)
    hanging = stand_in(READY + HANGS)
    hanging.load()
    with pytest.raises(StudyError, match=r"\(plain\) gave no answer for 0.2 s; .*set measurement.reference to 'none'"):
        hanging.turn()
    hanging.close()
    assert hanging._process.poll() is not None


def test_a_reference_that_can_not_load_leaves_the_run_without_one(stand_in):
    assert (
        stand_in(IMPORTED + 'print(\'{"off": "The reference could not be loaded: x"}\')').load().endswith("loaded: x")
    )
    with pytest.raises(StudyError, match=r"the reference \(plain\): models.small is broken."):
        stand_in(IMPORTED + 'print(\'{"failed": "models.small is broken."}\')').load()


@pytest.mark.parametrize(
    "end",
    [
        'print(\'{"out_of_memory": "no room"}\', flush=True); sys.stdin.read()',
        "import os; os.kill(os.getpid(), 9)",
    ],
)
def test_a_reference_whose_memory_runs_out_lets_the_run_be_made_without_it(stand_in, end):
    made = stand_in(READY + "sys.stdin.readline(); " + end)
    assert made.load() is None
    with pytest.raises(MemoryError, match="plain"):
        made.turn()


def test_memory_that_runs_out_in_a_turn_is_told_and_other_errors_are_not_hidden():
    def fails(error):
        def request():
            raise error

        return request

    told = reference_worker.turn(fails(RuntimeError("CUDA error: out of memory\nmore")))
    assert told == {"out_of_memory": "CUDA error: out of memory"}
    with pytest.raises(RuntimeError, match="wrong shape"):
        reference_worker.turn(fails(RuntimeError("wrong shape")))


def test_it_ends_with_its_worker_whatever_is_under_way(tmp_path):
    request = tmp_path / "request.json"
    os.mkfifo(request)  # reading it never ends
    command = [sys.executable, "-m", "scripts.inference.reference_worker", "--request", str(request)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.stdin.close()
    assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("free", "weights", "fits"), [(9e9, 1e9, True), (3.4e9, 1e9, False), (9e9, 5e9, False), (1.9e9, 0, False)]
)
def test_it_needs_room_and_leaves_some(monkeypatch, free, weights, fits):
    monkeypatch.setattr(reference, "_memory", lambda device: (int(free), 10_000_000_000))
    reason = missing_memory(SimpleNamespace(type="cuda"), int(weights))
    assert (reason is None) == fits
    if not fits:
        assert f"{free / 1e9:.1f} of 10.0 GB were free." in reason


def test_where_there_is_no_room_the_run_goes_on_and_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(reference, "_memory", lambda device: (1, 10_000_000_000))
    asked = {"technique": "plain", "digest": "d", "model": {"path": str(tmp_path)}}
    beside = ReferenceClient(asked, tmp_path / "request.json")
    beside.start(SimpleNamespace(rank=0, world_size=1, device=SimpleNamespace(type="cpu")), contextlib.nullcontext)
    found = beside.results()
    assert (found["status"], found["technique"]) == ("off", "plain")
    assert "GB of memory" in found["reason"]


def test_memory_that_runs_out_beside_it_is_tried_again_without_it(monkeypatch):
    asked = []

    def group(request, environment):
        asked.append(request["reference"])
        if "reason" in request["reference"]:
            return [{"status": "ok"}], {}
        return [{"status": "out_of_memory", "reason": "Out of memory: x", "retry_without_reference": True}], {}

    monkeypatch.setattr(launch, "run_group", group)
    outcome = launch.measure({"processes": 1, "threads_per_process": 1, "reference": {"technique": "plain"}}, [])
    assert outcome.ranks == [{"status": "ok"}]
    assert asked[1] == {"technique": "plain", "reason": launch.NO_ROOM}
