"""An event loop whose timers are exact to a tenth of a millisecond, in a process that is run when they are over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import selectors
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

NICE = -10


class ExactSelector(selectors.DefaultSelector):
    """A selector that doesn't round its timeouts: epoll's own are whole milliseconds, rounded up."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for the selector's own descriptor, whose timeout has microseconds, then read what is ready."""
        if timeout is not None and timeout > 0 and hasattr(self, "fileno"):
            select.select([self.fileno()], [], [], timeout)
            timeout = 0
        return super().select(timeout)


def run_exactly(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine as ``asyncio.run`` does, with exact timers; return what it returns."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(ExactSelector())) as runner:
        return runner.run(main)


def run_before_others() -> None:
    """Ask the system to run this process before others, where it may; without the right to, do nothing.

    Linux weighs sessions against each other before the processes in them (autogroup), so begin a session of its own.
    """
    with contextlib.suppress(OSError, AttributeError):
        os.nice(NICE)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(NICE), encoding="ascii")
