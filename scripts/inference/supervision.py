"""Supervises the workers of a run: detects exits and hangs, finds the rank at fault, and ends all workers."""

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

LOADING_S = 1800.0  # timeout of steps other than a batch
BATCH_S = 180.0  # minimum timeout of a batch
TIMES = 20  # a batch may take this many times the longest step so far, loading included
TICK_S = 0.02
MOMENT_S = 1.0  # after a rank ended, for its peers to end too

# Messages before a library or the C++ runtime aborts for lack of memory.
NO_MEMORY = (*failures.NO_MEMORY, "MemoryError", "Thread creation failed", "pthread_create failed")


class Watchdog:
    """Time since a worker's last heartbeat, and its timeout.

    Args:
        worker: the process; without a pipe on its standard output it never times out.
        limit_s: timeout in seconds; None derives it from the steps so far.
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
        """Seconds without a heartbeat after which it counts as hanging."""
        if self._asked is not None:
            return self._asked
        return max(BATCH_S if self._last == heartbeat.SAMPLE else LOADING_S, TIMES * self._longest)

    def hangs(self, seconds: float) -> bool:
        """Whether the timeout has passed; ``seconds`` is the time since the last call."""
        signs = self._read()
        if signs:
            self._longest, self.silent, self._last = max(self._longest, self.silent), 0.0, signs[-1:]
        elif self._channel is not None:
            # A long gap means that this process was stopped, and the worker with it.
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
    """Wait until every rank is done, or one has failed, hangs or reports a status other than ok.

    Args:
        workers: one process a rank.
        scratch: where each rank leaves ``rank-<r>.json``.
        limit_s: see :class:`Watchdog`.
        written: returns what the workers have written to the log.

    Returns:
        The report of each rank; if the run failed, only that of the rank at fault.
    """
    watchdogs = [Watchdog(worker, limit_s) for worker in workers]
    before = time.monotonic()
    while True:
        now = time.monotonic()
        silent = [rank for rank, watchdog in enumerate(watchdogs) if watchdog.hangs(now - before)]
        hanging = [rank for rank in silent if workers[rank].poll() is None]
        before = now
        done = {rank: worker.poll() for rank, worker in enumerate(workers) if worker.poll() is not None}
        if any(status != 0 for status in done.values()) or any(
            _report(scratch, rank)["status"] != "ok" for rank in done
        ):
            return [_at_fault(workers, scratch, written)]
        if len(done) == len(workers):
            return [_report(scratch, rank) for rank in range(len(workers))]
        if hanging:
            return [_hung(workers, hanging, watchdogs)]
        time.sleep(TICK_S)


def end(workers: list[subprocess.Popen]) -> None:
    """Kill every worker with its process group."""
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

    When a rank ends, its peers' connections break, so they get a moment to end too. Order of blame: death by signal,
    an expected error, the earliest unexpected error, another exit status.
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


def _hung(workers: list[subprocess.Popen], hanging: list[int], watchdogs: list[Watchdog]) -> dict[str, Any]:
    """The report of a hanging rank; a stopped one first, as its peers may be waiting for it."""
    stopped = [rank for rank, worker in enumerate(workers) if _is_stopped(worker)]
    rank = (stopped or hanging)[0]
    how = ", as a signal had stopped it," if stopped else ""
    seconds = max(watchdogs[rank].silent, watchdogs[hanging[0]].silent)
    return {
        "status": "failed",
        "reason": f"the worker of rank {rank} gave no sign of life for {seconds:.0f} s{how} and was ended; where a "
        "step may take longer, set measurement.time_limit_s.",
    }


def _is_stopped(worker: subprocess.Popen) -> bool:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(worker.pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    return False
