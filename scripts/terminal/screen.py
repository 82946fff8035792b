"""Lines on a terminal or in a log, and below them one live line, which only a terminal gets."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

BAR_WIDTH = 12
REFRESHES_PER_SECOND = 2


class _Console(Console):
    """One that leaves the cursor visible: a killed process could not bring it back."""

    def show_cursor(self, show: bool = True) -> bool:
        """Do nothing."""
        return False


class Screen:
    """Where a call's lines go.

    Args:
        stream: what is written to.
        live_line: returns the live line and the share of the work that is done, from 0 to 1; None while there is none.
    """

    def __init__(self, stream: TextIO, live_line: Callable[[], tuple[str, float] | None]) -> None:
        self._stream = stream
        self._live_line = live_line
        self._live: Live | None = None
        self._console = _Console(file=stream, highlight=False, markup=False, emoji=False, color_system=None)

    @property
    def is_terminal(self) -> bool:
        """Whether a line may be drawn again: not in a file, a pipe, CI or a terminal that can't."""
        interactive = getattr(self._stream, "isatty", bool)() and not os.environ.get("CI")
        return interactive and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")

    def line(self, text: str) -> None:
        """Write a line, above the live one if there is one."""
        if self._live is not None:
            self._console.print(Text(text), soft_wrap=True)
            return
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        # A terminal that lacks a character shows another in its place.
        self._stream.write(text.encode(encoding, errors="replace").decode(encoding) + "\n")
        self._stream.flush()

    def start(self) -> None:
        """Show the live line from now on."""
        if self._live is None and self.is_terminal:
            self._live = Live(
                console=self._console, get_renderable=self._render, transient=True,
                refresh_per_second=REFRESHES_PER_SECOND,
            )  # fmt: skip
            self._live.start()

    def stop(self) -> None:
        """Take the live line away; what is written from now on follows the last line."""
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()

    def _render(self) -> Table | Text:
        found = self._live_line()
        if found is None:
            return Text("")
        text, share = found
        row = Table.grid(padding=(0, 1))
        row.add_column(width=BAR_WIDTH)
        row.add_column(no_wrap=True, overflow="ellipsis")
        row.add_row(ProgressBar(total=1.0, completed=share, width=BAR_WIDTH), Text(text))
        return row
