"""What is said of a server that ended by itself, from the last lines that it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.foundation import failures
from scripts.foundation.wording import one_line, shown
from scripts.serving.errors import PortTakenError, ServerError, ServerOutOfMemoryError

TAIL_BYTES = 65536
PORT_TAKEN = ("ddress already in use", "couldn't bind", "errno 98", "EADDRINUSE")
KILLED = 128 + 9


def tail(log: Path | None) -> list[str]:
    """The last lines of a log that are not blank, safe to show."""
    if log is None or not log.exists():
        return []
    with log.open("rb") as handle:
        handle.seek(max(0, log.stat().st_size - TAIL_BYTES))
        text = handle.read().decode("utf-8", errors="replace")
    return [one_line(line.rstrip()) for line in text.splitlines() if line.strip()]


def ended(label: str, preset: dict[str, Any], status: int | None, log: Path | None, when: str) -> ServerError:
    """What is said of a server that ended by itself.

    Args:
        label: its name.
        preset: its preset.
        status: its exit status, 128 and the signal's number where one ended it; None where it is not known.
        log: what it wrote.
        when: the end of the sentence, such as ``before it was ready``.
    """
    if status is not None and status < 0:  # of the guard
        status = 128 - status
    signs = (*failures.NO_MEMORY, *preset.get("out_of_memory", ()))
    if any(sign in line for line in tail(log) for sign in signs):
        return ServerOutOfMemoryError(f"{label} ran out of memory {when}{last(log, signs)}.")
    if status == KILLED:
        return ServerError(
            f"{label} was killed (signal 9) {when}, which is how the kernel ends a process when memory runs out; see "
            f"the kernel's log, and give the run more memory or a smaller model{last(log)}."
        )
    how = "ended" if status is None else f"ended with {_status(status)}"
    kind = PortTakenError if any(sign in line for line in tail(log) for sign in PORT_TAKEN) else ServerError
    return kind(f"{label} {how} {when}{last(log)}.")


def _status(status: int) -> str:
    return f"signal {status - 128}" if status > 128 else f"status {status}"


def last(log: Path | None, signs: tuple[str, ...] = ()) -> str:
    """The end of a sentence: the line that says why, the last one that has a sign, and where the others are."""
    if log is None:
        return ""
    lines = tail(log)
    telling = [line for line in lines if any(sign in line for sign in signs)] or lines
    said = f"; its last line is: {shown(telling[-1].strip().rstrip('.'))[1:-1]}" if telling else ""
    return f"{said}; what it wrote is in {log}"
