"""Turns the error of a run or a stage into a status, a sentence and a line in the record of failed attempts."""

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

FAILED, OUT_OF_MEMORY = "failed", "out_of_memory"
SAYS_SO = "out of memory"
ATTEMPTS = "failures.jsonl"
"""In a run's folder, a line for each failed attempt; the workflow tries again where it has grown."""

# Messages of the CPU allocator, C++, the CUDA runtime, cuBLAS, the dynamic loader, and mmap of checkpoint files.
NO_MEMORY = ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "Cannot allocate memory",
             "bad_alloc", "failed to map segment", "can't start new thread")  # fmt: skip
MAX_LOG_BYTES = 65536


def end_on_signals() -> None:
    """Exit on SIGTERM and SIGINT through ``SystemExit``, so that workers are ended and temporary files removed."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # A shell sets SIG_IGN for background jobs, which are not to be interrupted.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, frame: sys.exit(128 + number))


def report(error: Exception) -> dict[str, Any]:
    """``status`` and ``reason`` of an error; an unexpected one is logged with its traceback and has ``unforeseen_at``.

    Raises:
        Exception: the error itself, where the disk is full, so that no report could be written.
    """
    if entry.disk_is_full(error):
        raise error
    if is_out_of_memory(error):
        said = first_line(error)
        return {"status": OUT_OF_MEMORY, "reason": said if SAYS_SO in said.lower() else f"Out of memory: {said}"}
    if isinstance(error, StudyError):
        return {"status": FAILED, "reason": str(error)}
    logger.error("The run failed.", exc_info=error)
    if sentence := entry.file_limit(error):
        # Of the shell, not of the technique: the next call tries it again.
        return {"status": FAILED, "reason": sentence, "unforeseen_at": time.time()}
    reason = f"{type(error).__name__}: {first_line(error)}" if str(error).strip() else type(error).__name__
    return {"status": FAILED, "reason": f"{reason.rstrip('.')}.", "unforeseen_at": time.time()}


def told(status: str, reason: str | None) -> str:
    """Status and reason in a line; the status but once where the reason says it."""
    reason = reason or "no reason was recorded"
    return reason if says(status, reason) else f"{status.replace('_', ' ')}: {reason}"


def says(status: str, reason: str) -> bool:
    """Whether a reason says its status itself: begins with it, or tells anywhere that memory was exhausted."""
    if status == OUT_OF_MEMORY and SAYS_SO in reason.lower():
        return True
    return reason.lower().startswith(f"{status.replace('_', ' ')}:")


def first_line(error: Exception) -> str:
    """First line of an error's message, or the name of its class."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or a cause of it, says that the machine or a device is out of memory."""
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
    """The reason of a report; for a failure with the path of the log."""
    if head["status"] != FAILED or log is None:
        return head["reason"]
    return f"{head['reason'].rstrip('.')}; the log is {log}."


def note(output: Path, reason: str | None) -> None:
    """Record a failed attempt in the folder."""
    path = output / ATTEMPTS
    # The last 100 are enough to tell attempts apart.
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
            handle.seek(max(start, path.stat().st_size - MAX_LOG_BYTES))
            return handle.read().decode("utf-8", errors="replace")

    return written
