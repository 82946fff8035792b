"""What was measured beside what was to be reached, as a Markdown table and as JSON."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.performance.engine_rows.limits import LIMITS, Limit
from tests.performance.engine_rows.paired import Estimate

_BY_KEY = {limit.key: limit for limit in LIMITS}
AIM, ENOUGH, SHORT, NO_LIMIT, NOT_MEASURED = "aim", "enough", "SHORT", "-", "not measured"


@dataclass
class Row:
    """One figure, or the reason why there is none.

    Attributes:
        limit: what it is and what it must reach.
        estimate: the figure; None where it was not measured.
        note: what helps to read it.
        reason: why it was not measured.
        raw: everything behind it, as JSON.
        bounds: what bounds it, as far as can be seen; filled in where it falls short.
    """

    limit: Limit
    estimate: Estimate | None = None
    note: str = ""
    reason: str | None = None
    raw: dict[str, Any] = field(default_factory=dict)
    bounds: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """Judged by the figure itself; the interval stands beside it."""
        if self.estimate is None:
            return NOT_MEASURED
        least, aim = self.limit.least, self.limit.aim
        if least is None:
            return NO_LIMIT
        # Of two figures that are equal on paper neither falls short.
        sign, slack = (-1 if self.limit.lower else 1), 1e-9
        if sign * (self.estimate.value - aim) >= -slack:
            return AIM
        return ENOUGH if sign * (self.estimate.value - least) >= -slack else SHORT

    def document(self) -> dict[str, Any]:
        """The row as JSON."""
        return asdict(self) | {"verdict": self.verdict}


def measured(
    key: str, estimate: Estimate, note: str = "", raw: dict[str, Any] | None = None,
    explain: Callable[[], list[str]] | None = None,
) -> Row:  # fmt: skip
    """The row of that key; ``explain`` is asked what bounds the figure if it falls short."""
    row = Row(_BY_KEY[key], estimate, note, raw=raw or {})
    if row.verdict == SHORT and explain is not None:
        try:
            row.bounds = explain()
        except Exception as error:  # whatever goes wrong, the figure stays
            row.bounds = [f"what bounds it could not be seen: {last_lines(error)}"]
    return row


def missing(key: str, reason: str) -> Row:
    """The row of a figure that could not be measured."""
    return Row(_BY_KEY[key], reason=reason)


def completed(rows: list[Row], reasons: dict[str, str], parts: list[str]) -> list[Row]:
    """All rows of the parts in the table's order; those that are missing with their part's reason."""
    found = {row.limit.key: row for row in rows}
    wanted = [limit for limit in LIMITS if limit.part in parts]
    return [
        found.get(limit.key) or missing(limit.key, reasons.get(limit.part, "the part ended without it"))
        for limit in wanted
    ]


def last_lines(error: BaseException) -> str:
    """Where an error was raised, and its message, on one line."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames[-3:]))
    message = " ".join(str(error).split())[-300:] or "no message"
    return f"{type(error).__name__}: {message} ({places})"


def shown(value: float, unit: str) -> str:
    """A figure with its unit."""
    if unit == "x":
        return f"{value:.2f}x"
    if unit == "samples/s":
        return f"{value:,.0f}/s"
    if unit == "percent":
        return f"{value:+.2f}%"
    return f"{100 * value:.1f}%" if unit == "tokens" else f"{value:.3f}"


def markdown(rows: list[Row]) -> str:
    """The table, and under it what bounds the figures that fall short."""
    lines = ["| what | measured (95%) | at least | aim | verdict | note |", "|---|---|---|---|---|---|"]
    for row in rows:
        limit = row.limit
        bounds = [shown(bound, limit.unit) if bound is not None else "" for bound in (limit.least, limit.aim)]
        if limit.lower and bounds[0]:
            bounds = [f"<= {bound}" for bound in bounds]
        figure = ""
        if row.estimate is not None:
            value, low, high = (shown(getattr(row.estimate, name), limit.unit) for name in ("value", "low", "high"))
            figure = value if low == high == value else f"{value} ({low} to {high})"
        note = (row.reason or row.note).replace("|", "/")
        lines.append(f"| {' | '.join([limit.what, figure, *bounds, row.verdict, note])} |")
    for row in rows:
        if row.bounds:
            lines += ["", f"{row.limit.what}: what bounds it", *(f"  {line}" for line in row.bounds)]
    return "\n".join(lines)
