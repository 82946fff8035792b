"""Forked processes that answer on pipes."""

import contextlib
import os
import subprocess
import sys
import time

import psutil
import pytest

from scripts.inference import child

pytestmark = pytest.mark.skipif(not child.can_fork(), reason="this system's processes are not forked")


@pytest.fixture
def forked():
    with contextlib.ExitStack() as ending:

        def make(main, **options):
            made = child.Forked(main, **options)
            ending.callback(made.wait, 5)
            ending.callback(made.kill)
            return made

        yield make


def answering():
    for line in sys.stdin:
        os.write(1, f"{line.strip()} {os.environ.get('RANK')}\n".encode())


def test_it_answers_and_ends_with_its_input(forked, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr(sys, "stdin", os.fdopen(0, closefd=False))
    made = forked(answering, without=("RANK",))
    made.stdin.write(b"asked\n")
    made.stdin.flush()
    assert made.stdout.readline() == b"asked None\n"
    assert os.environ["RANK"] == "0"
    assert made.poll() is None
    made.stdin.close()
    assert made.wait(5) == 0


def test_its_end_has_a_status(forked):
    assert forked(lambda: 1 / 0).wait(5) == 1
    assert forked(lambda: os.kill(os.getpid(), 9)).wait(5) == -9
    sleeping = forked(lambda: time.sleep(60))
    with pytest.raises(subprocess.TimeoutExpired):
        sleeping.wait(0.05)
    sleeping.kill()
    assert sleeping.wait(5) == -9


def test_it_ends_when_the_process_that_forked_it_is_killed():
    code = (
        "import os, time\nfrom scripts.inference import child\n"
        "made = child.Forked(lambda: time.sleep(60))\nprint(made.pid, flush=True)\nos.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    pid = int(done.stdout)
    until = time.monotonic() + 5
    while _runs(pid) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _runs(pid)


def _runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
