"""Ends a workflow's jobs on SIGTERM and SIGINT, which Snakemake does not forward."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

import psutil

GRACE_S = 4.0
"""Time for jobs to clean up before they are killed."""


def end_jobs_with(process: int) -> None:
    """On SIGTERM and SIGINT, end the jobs of this process, then call the previous handler.

    Args:
        process: id of this process; forked children, which inherit the handlers, do nothing.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)
        if callable(before):
            signal.signal(number, _ending(before, process))


def _ending(before: Callable, process: int) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        if os.getpid() == process:
            threading.Thread(target=_end_jobs, args=(process,)).start()
        before(number, frame)

    return handle


def _end_jobs(process: int) -> None:
    jobs = [child for child in psutil.Process(process).children(recursive=True) if _is_stage(child)]
    pids = {job.pid for job in jobs}
    for job in jobs:
        # A job ends its own workers.
        if not pids & {parent.pid for parent in _parents(job)}:
            _send(job, signal.SIGTERM)
    _, alive = psutil.wait_procs(jobs, timeout=GRACE_S)
    for job in alive:
        _send(job, signal.SIGKILL)


def _is_stage(process: psutil.Process) -> bool:
    """Whether it runs one of the project's modules."""
    try:
        return any(word.startswith("scripts.") for word in process.cmdline())
    except psutil.Error:
        return False


def _parents(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.parents()
    except psutil.Error:
        return []


def _send(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.Error):
        process.send_signal(number)
