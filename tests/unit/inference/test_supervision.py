"""When a worker counts as hanging: by its signs of life, which cost nothing where nobody listens."""

import os
import subprocess
import sys

import pytest

from scripts.inference import heartbeat, supervision


@pytest.fixture
def worker():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    yield process
    supervision.end([process])


@pytest.fixture
def watchdog(worker, monkeypatch):
    """A watchdog without a limit of its own, and a function that gives a sign."""
    signs = []
    found = supervision.Watchdog(worker, None)
    monkeypatch.setattr(found, "_read", lambda: signs.pop() if signs else b"")
    return found, signs.append


def silent(watchdog, seconds):
    """Whether it hangs at any time in so many seconds."""
    return any(watchdog.hangs(1.0) for _ in range(seconds))


def test_a_batch_may_take_many_times_the_longest_step_so_far(watchdog):
    found, give = watchdog
    assert not silent(found, 60)  # loading
    give(heartbeat.SAMPLE)
    assert not silent(found, 60 * supervision.TIMES)
    assert silent(found, 70)


def test_quick_batches_are_waited_for_all_the_same(watchdog):
    found, give = watchdog
    give(heartbeat.SAMPLE)
    assert not silent(found, int(supervision.BATCH_S))
    assert silent(found, 2)


def test_a_time_in_which_the_parent_was_stopped_too_is_no_silence(watchdog):
    found, give = watchdog
    give(heartbeat.SAMPLE)
    found.hangs(0.02)
    assert not found.hangs(100_000.0)


def test_a_sign_waits_for_nobody(monkeypatch):
    read, write = os.pipe()
    os.set_blocking(write, False)
    monkeypatch.setattr(heartbeat, "_channel", write)
    for _ in range(100_000):  # more than a pipe holds
        heartbeat.sign(heartbeat.SAMPLE)
    os.close(read)
    heartbeat.sign(heartbeat.SAMPLE)
    os.close(write)
