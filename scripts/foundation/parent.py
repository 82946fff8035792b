"""Ends this process when its parent process, or the Snakemake run it belongs to, ends."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time

RUN = "UDACIHEADLINE_RUN"  # process id of the Snakemake that a job belongs to
PARENT = "UDACIHEADLINE_PARENT"  # process id of the process that started a worker
GRACE_S = 10.0
POLL_S = 1.0
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Let the kernel kill this process when its parent ends; only on Linux.

    The kernel watches the thread that started it, so start such processes from a main thread.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    started_by = os.environ.get(PARENT)
    if started_by and os.getppid() != int(started_by):
        os._exit(1)  # it ended before the kernel was asked


def end_with_run() -> None:
    """End this process when the Snakemake that started its job ends; without one, do nothing."""
    run = os.environ.get(RUN)
    if run:
        threading.Thread(target=_end_after, args=(int(run),), daemon=True).start()


def _end_after(process: int) -> None:
    _wait(process)
    with contextlib.suppress(OSError):
        sentence = "the Snakemake that started this job has ended, and so the job ends; run the same command again."
        os.write(2, f"error: {sentence}\n".encode())
    # SIGTERM, so that the handlers end its workers and remove their temporary files.
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)


def _wait(process: int) -> None:
    """Wait until a process has ended: by a pidfd where the system has them, else by polling."""
    with contextlib.suppress(AttributeError, OSError):
        try:
            handle = os.pidfd_open(process)
        except ProcessLookupError:
            return
        waiting = select.poll()
        waiting.register(handle, select.POLLIN)
        waiting.poll()
        os.close(handle)
        return
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        awaited = psutil.Process(process)
        while awaited.is_running() and awaited.status() != psutil.STATUS_ZOMBIE:
            time.sleep(POLL_S)
