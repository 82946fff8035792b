"""What becomes of an error in a run or a stage: a status, one sentence, and a line in the record of failed attempts."""

from __future__ import annotations

import errno
import logging
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.foundation import entry, files
from scripts.foundation.errors import StudyError

logger = logging.getLogger(__name__)

FAILED = "failed"
ATTEMPTS = "failures.jsonl"
"""Beside a run's results: a line for each attempt that failed. The workflow tries again where it has grown."""

# Of the CPU allocator, C++, the CUDA runtime, cuBLAS, the loader of libraries, and what maps checkpoint files.
NO_MEMORY = ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "Cannot allocate memory",
             "bad_alloc", "failed to map segment", "can't start new thread")  # fmt: skip
MOST_READ = 65536


def end_on_signals() -> None:
    """End on SIGTERM and SIGINT by way of what has to be closed: workers are ended, temporary files removed."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # What was started in the background of a shell is not meant to be interrupted.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, frame: sys.exit(128 + number))


def report(error: Exception) -> dict[str, Any]:
    """``status`` and ``reason`` of an error, and of one that nobody foresaw its time; its traceback goes to the log.

    Raises:
        Exception: the error itself, where the disk is full: then nothing can be kept.
    """
    if entry.disk_is_full(error):
        raise error
    if is_out_of_memory(error):
        return {"status": "out_of_memory", "reason": f"Out of memory: {first_line(error)}"}
    if isinstance(error, StudyError):
        return {"status": FAILED, "reason": str(error)}
    logger.error("The run failed.", exc_info=error)
    said = str(error).strip()
    reason = f"{type(error).__name__}: {first_line(error)}" if said else type(error).__name__
    return {"status": FAILED, "reason": f"{reason.rstrip('.')}.", "unforeseen_at": time.time()}


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that it came from, says that there is no more memory, of the machine or of a device."""
    # Importing it here could be what runs out of memory.
    torch = sys.modules.get("torch")
    kinds = (MemoryError, *filter(None, [getattr(torch, "OutOfMemoryError", None)]))
    if isinstance(error, kinds) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    if isinstance(error, RuntimeError | OSError | ImportError) and any(sign in str(error) for sign in NO_MEMORY):
        return True
    origin = error.__cause__ or error.__context__
    return origin is not None and is_out_of_memory(origin)


def with_log(head: dict[str, Any], log: Path | None) -> str | None:
    """The reason of a report, of a failure with the file that says more."""
    if head["status"] != FAILED or log is None:
        return head["reason"]
    return f"{head['reason'].rstrip('.')}; the log is {log}."


def note(output: Path, reason: str | None) -> None:
    """Add this attempt to the failed ones of the folder."""
    path = output / ATTEMPTS
    # No more of them than tell one attempt from the one before.
    before = files.read_json_lines(path)[-99:] if path.exists() else []
    failed_at = datetime.now(UTC).isoformat(timespec="microseconds")
    files.write_json_lines(path, [*before, {"failed_at": failed_at, "reason": reason}])


def written_since(log: str | None) -> Callable[[], str]:
    """A function that returns the end of what was written to the log since now; nothing without a log."""
    path = Path(log) if log else None
    start = path.stat().st_size if path and path.exists() else 0

    def written() -> str:
        if path is None or not path.exists():
            return ""
        with path.open("rb") as handle:
            handle.seek(max(start, path.stat().st_size - MOST_READ))
            return handle.read().decode("utf-8", errors="replace")

    return written
