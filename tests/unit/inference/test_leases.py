import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from scripts.foundation.errors import StudyError
from scripts.inference import leases, turns

ROOT = Path(__file__).resolve().parents[3]
DEVICES = ["GPU-aaaa-1", "GPU-aabb-2", "GPU-cccc-3"]

# Takes leases again and again; writes when it took and gave back which devices.
HOLDER = """
import json, sys, time
from pathlib import Path
from scripts.inference import leases

leases.POLL_SECONDS = 0.01
directory, count, times, hold = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
for _ in range(times):
    with leases.lease(sys.argv[5:], count, directory) as taken:
        began = time.monotonic()
        print(json.dumps({"taken": taken}), flush=True)
        time.sleep(hold)
        print(json.dumps({"devices": taken, "from": began, "to": time.monotonic()}), flush=True)
"""


def start(directory, count, *, devices=DEVICES[:2], times=1, hold=60.0):
    command = [sys.executable, "-c", HOLDER, str(directory), str(count), str(times), str(hold), *devices]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.fixture
def started():
    """Starts holders and ends them with the test."""
    processes = []

    def begin(*arguments, **options):
        processes.append(start(*arguments, **options))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def until(sign):
    deadline = time.monotonic() + 30
    while not sign():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def taken(process):
    return json.loads(process.stdout.readline())["taken"]


def test_no_device_is_ever_held_twice(tmp_path, started):
    holders = [started(tmp_path, count, times=12, hold=0.01) for count in (1, 2, 1, 2)]
    held = []
    for holder in holders:
        output, _ = holder.communicate(timeout=60)
        assert holder.returncode == 0
        held += [row for row in map(json.loads, output.splitlines()) if "from" in row]
    assert len(held) == 4 * 12
    for device in DEVICES[:2]:
        times = sorted((row["from"], row["to"]) for row in held if device in row["devices"])
        assert len(times) > 12
        assert all(earlier[1] <= later[0] for earlier, later in pairwise(times))
    assert {len(row["devices"]) for row in held} == {1, 2}


def test_a_job_that_waits_for_two_holds_neither(tmp_path, started):
    first = started(tmp_path, 1)
    [held] = taken(first)
    waiting = started(tmp_path, 2, hold=0.0)
    until(lambda: list(tmp_path.glob("*.wait")))
    time.sleep(0.1)
    with leases.try_lease(DEVICES[:2], 1, tmp_path) as others:
        assert others == [device for device in DEVICES[:2] if device != held]
    assert waiting.poll() is None
    first.kill()
    assert taken(waiting) == DEVICES[:2]


def test_a_job_that_waits_for_two_is_not_passed_by_later_ones_of_one(tmp_path, started):
    first = started(tmp_path, 1)
    taken(first)
    large = started(tmp_path, 2)
    until(lambda: list(tmp_path.glob("*.wait")))
    small = started(tmp_path, 1)
    until(lambda: len(list(tmp_path.glob("*.wait"))) == 2)
    # Of what nobody else waits for, a later one takes its share.
    elsewhere = started(tmp_path, 1, devices=DEVICES[1:])
    assert taken(elsewhere) == DEVICES[2:]
    first.kill()
    assert taken(large) == DEVICES[:2]
    large.kill()
    assert len(taken(small)) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_nobody_waits_behind_a_waiting_job_that_is_killed_or_stopped(tmp_path, started, monkeypatch, how):
    monkeypatch.setattr(turns, "STALE_S", 0.5)
    taken(started(tmp_path, 1))
    waiting = started(tmp_path, 2)
    until(lambda: list(tmp_path.glob("*.wait")))
    time.sleep(0.1)
    waiting.send_signal(how)
    with leases.lease(DEVICES[:2], 1, tmp_path) as free:
        assert len(free) == 1


def test_a_killed_holder_gives_its_devices_back(tmp_path, started):
    holder = started(tmp_path, 2)
    assert taken(holder) == DEVICES[:2]
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with leases.lease(DEVICES[:2], 2, tmp_path) as free:
        assert free == DEVICES[:2]


def test_an_error_in_the_block_gives_the_devices_back(tmp_path):
    def fail():
        with leases.lease(DEVICES, 3, tmp_path):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with leases.lease(DEVICES, 3, tmp_path) as free:
        assert free == DEVICES


def test_one_process_too_takes_each_device_once(tmp_path):
    with leases.lease(DEVICES, 1, tmp_path) as first, leases.lease(DEVICES, 2, tmp_path) as others:
        assert sorted(first + others) == DEVICES


def test_every_user_of_the_machine_can_open_the_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(leases.tempfile, "gettempdir", lambda: str(tmp_path))
    mask = os.umask(0o077)
    try:
        with leases.lease(DEVICES, 1):
            directory = leases.lock_directory()
            [lock] = directory.iterdir()
            assert directory.stat().st_mode & 0o777 == 0o777
            assert lock.stat().st_mode & 0o666 == 0o666
    finally:
        os.umask(mask)


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        (None, [0, 1, 2]),
        ("0,1,2", [0, 1, 2]),
        ("2,0", [2, 0]),
        (" 1 , 0 ", [1, 0]),
        ("1,1", []),
        ("0,1,GPU-aaaa", []),
        ("NoDevFiles", []),
        ("-2", []),
        ("3", []),
        ("0,7,1", [0]),
        ("1,GPU-dddd,0", [1]),
        ("GPU-aa", []),
        ("gpu0", []),
        ("1.5", [1]),
        ("2x,0", [2, 0]),
        ("\u00b2", []),
        ("9" * 5000, []),
        ("GPU-cccc-3", [2]),
        ("GPU-cc,0", [2, 0]),
        ("GPU-aab", [1]),
        ("", []),
        ("-1", []),
        ("0,-1,1", [0]),
        ("1,,0", [1]),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_does(selection, chosen):
    assert leases.visible(DEVICES, selection) == [DEVICES[index] for index in chosen]


@pytest.mark.parametrize(("selection", "said"), [("0,7", "'7', none of this machine's 3 GPUs"), ("1,1", "twice")])
def test_what_cuda_leaves_out_is_said(selection, said, caplog):
    leases.visible(DEVICES, selection)
    assert said in caplog.text


@pytest.mark.parametrize("selection", ["", "-1", "0,-1", "NoDevFiles", "2"])
def test_hiding_gpus_on_purpose_is_not_remarked_on(selection, caplog):
    leases.visible(DEVICES, selection)
    assert caplog.text == ""


@pytest.mark.parametrize("selection", ["MIG-41b36d4f", "0,MIG-GPU-aaaa-1/7/0"])
def test_a_mig_device_is_refused_where_there_are_gpus(selection, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", selection)
    with pytest.raises(StudyError, match=r"MIG device .+ name only undivided GPUs"):
        leases.usable([{"uuid": device} for device in DEVICES])
    assert leases.usable([]) == []


def test_a_gpu_in_parts_is_refused_unless_it_is_hidden(monkeypatch):
    gpus = [{"uuid": device, "mig": device == DEVICES[1]} for device in DEVICES]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(StudyError, match="GPU-aabb-2 is divided into MIG devices"):
        leases.usable(gpus)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2")
    assert leases.usable(gpus) == [DEVICES[0], DEVICES[2]]


@pytest.mark.parametrize("selection", ["0", "GPU-aaaa", "NoDevFiles", "1,1"])
def test_the_variable_says_nothing_on_a_machine_without_gpus(selection, monkeypatch, caplog):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", selection)
    assert leases.usable([]) == []
    assert caplog.text == ""


def test_a_slurm_job_that_was_given_no_gpu_leases_none(monkeypatch):
    gpus = [{"uuid": device} for device in DEVICES]
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "SLURM_GPUS_ON_NODE"):
        monkeypatch.delenv(name, raising=False)
    assert leases.usable(gpus) == DEVICES
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert leases.usable(gpus) == []
    monkeypatch.setenv("SLURM_GPUS_ON_NODE", "0")
    assert leases.usable(gpus) == []
    with pytest.raises(StudyError, match="Slurm gave this job no GPU; submit it with --gpus"):
        leases.chosen("cuda")
    monkeypatch.delenv("SLURM_GPUS_ON_NODE")
    monkeypatch.setenv("SLURM_JOB_GPUS", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert leases.usable(gpus) == [DEVICES[1]]
