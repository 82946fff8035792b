"""Watches the workers of a run: which ended and how, which hangs, which of several is at fault; and ends them all."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from scripts.foundation import failures, files
from scripts.inference import heartbeat

LOADING_S = 1800.0  # the longest that a step of another kind than a batch may take
BATCH_S = 180.0  # the least that a batch is waited for
TIMES = 20  # how many times the longest step so far, loading among them, a batch may take
TICK_S = 0.02
MOMENT_S = 1.0  # in which the peers of a rank that ended end too

# What a library or the C++ runtime writes before it ends a process that got no memory.
NO_MEMORY = (*failures.NO_MEMORY, "MemoryError", "Thread creation failed", "pthread_create failed")


class Pulse:
    """How long a worker has been silent, and how long it may be.

    Args:
        worker: the process; one without a pipe for its standard output is never held to hang.
        limit_s: seconds that it may be silent; None derives it from the steps so far.
    """

    def __init__(self, worker: subprocess.Popen, limit_s: float | None) -> None:
        self._channel = worker.stdout.fileno() if worker.stdout else None
        self._asked = limit_s
        self._last = heartbeat.PHASE
        self._longest = 0.0
        self.silent = 0.0
        if self._channel is not None:
            os.set_blocking(self._channel, False)

    @property
    def limit_s(self) -> float:
        """Seconds without a sign from which on it hangs."""
        if self._asked is not None:
            return self._asked
        return max(BATCH_S if self._last == heartbeat.SAMPLE else LOADING_S, TIMES * self._longest)

    def hangs(self, seconds: float) -> bool:
        """Whether it has been silent for too long; ``seconds`` have passed since the last call."""
        signs = self._read()
        if signs:
            self._longest, self.silent, self._last = max(self._longest, self.silent), 0.0, signs[-1:]
        elif self._channel is not None:
            # A long gap means that this process was stopped itself, and the worker with it.
            self.silent += min(seconds, 1.0)
        return self.silent > self.limit_s

    def _read(self) -> bytes:
        if self._channel is None:
            return b""
        try:
            return os.read(self._channel, 4096)
        except OSError:
            return b""


def wait(
    workers: list[subprocess.Popen], scratch: Path, limit_s: float | None, written: Callable[[], str]
) -> list[dict[str, Any]]:
    """Wait until every rank is done, or one has failed, hangs, or reports that the technique can't run.

    Args:
        workers: one process a rank.
        scratch: where each rank leaves ``rank-<r>.json``.
        limit_s: see :class:`Pulse`.
        written: returns what the workers have written to the log.

    Returns:
        What each rank reports; of a run that came to nothing, the report of the rank at fault alone.
    """
    pulses = [Pulse(worker, limit_s) for worker in workers]
    before = time.monotonic()
    while True:
        now = time.monotonic()
        hanging = [
            rank for rank, pulse in enumerate(pulses) if pulse.hangs(now - before) and workers[rank].poll() is None
        ]
        before = now
        done = {rank: worker.poll() for rank, worker in enumerate(workers) if worker.poll() is not None}
        if any(status != 0 for status in done.values()) or any(
            _report(scratch, rank)["status"] != "ok" for rank in done
        ):
            return [_at_fault(workers, scratch, written)]
        if len(done) == len(workers):
            return [_report(scratch, rank) for rank in range(len(workers))]
        if hanging:
            return [_hung(workers, hanging, pulses)]
        time.sleep(TICK_S)


def end(workers: list[subprocess.Popen]) -> None:
    """End every worker with all that it started, stopped processes too."""
    for worker in workers:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(0) != worker.pid:
                os.killpg(worker.pid, signal.SIGKILL)
        if worker.poll() is None:
            worker.kill()
    for worker in workers:
        worker.wait()
        for pipe in (worker.stdin, worker.stdout):
            if pipe is not None:
                pipe.close()


def _report(scratch: Path, rank: int) -> dict[str, Any]:
    return files.read_json(scratch / f"rank-{rank}.json")


def _at_fault(workers: list[subprocess.Popen], scratch: Path, written: Callable[[], str]) -> dict[str, Any]:
    """The report of the rank at fault.

    A rank that ends takes its peers with it, whose connections break: they are given a moment to end too. Then a
    signal comes first, what a rank knows of itself next, and of unforeseen errors the earliest.
    """
    deadline = time.monotonic() + MOMENT_S
    while any(worker.poll() is None for worker in workers) and time.monotonic() < deadline:
        time.sleep(TICK_S)
    ended = {rank: worker.poll() for rank, worker in enumerate(workers) if worker.poll() is not None}
    reports = [_report(scratch, rank) for rank, status in ended.items() if status == 0]
    reports = [report for report in reports if report["status"] != "ok"]
    foreseen = [report for report in reports if "unforeseen_at" not in report]
    unforeseen = sorted((each for each in reports if "unforeseen_at" in each), key=lambda each: each["unforeseen_at"])
    died = sorted((status, rank) for rank, status in ended.items() if status != 0)
    signalled = [_died(rank, status, written()) for status, rank in died if status < 0]
    others = [_died(rank, status, written()) for status, rank in died if status > 0]
    return [*signalled, *foreseen, *unforeseen, *others][0]


def _died(rank: int, status: int, written: str) -> dict[str, Any]:
    """The report of a worker that left none."""
    if status != -signal.SIGKILL and (sign := next((sign for sign in NO_MEMORY if sign in written), None)):
        return {"status": "out_of_memory", "reason": f"Out of memory: the worker of rank {rank} ended with: {sign}"}
    if status == -signal.SIGKILL:
        reason = (
            f"the worker of rank {rank} was killed (signal 9), which is how the kernel ends a process when memory runs "
            "out; see the kernel's log, and give the run more memory or a smaller model."
        )
    else:
        what = f"signal {-status} ({signal.strsignal(-status)})" if status < 0 else f"status {status}"
        reason = f"the worker of rank {rank} ended with {what}."
    return {"status": "failed", "reason": reason}


def _hung(workers: list[subprocess.Popen], hanging: list[int], pulses: list[Pulse]) -> dict[str, Any]:
    """The report of a rank that hangs: of those, first one that was stopped, for which its peers may be waiting."""
    stopped = [rank for rank, worker in enumerate(workers) if _is_stopped(worker)]
    rank = (stopped or hanging)[0]
    how = ", as a signal had stopped it," if stopped else ""
    seconds = max(pulses[rank].silent, pulses[hanging[0]].silent)
    return {
        "status": "failed",
        "reason": f"the worker of rank {rank} gave no sign of life for {seconds:.0f} s{how} and was ended; where a "
        "step may take longer, set measurement.time_limit_s.",
    }


def _is_stopped(worker: subprocess.Popen) -> bool:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(worker.pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    return False
