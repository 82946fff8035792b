"""Changes as the report tells them: one form everywhere.

Speed, throughput, memory and length are factors: how many times as fast, or how many times as much. What is kept of
quality is a percentage. The likelihood is a difference.
"""

from collections.abc import Mapping
from typing import Any

from scripts.metrics import registry
from scripts.metrics.entry import LIKELIHOOD, TIMING
from scripts.report import numbers

SPEED, TIMES, KEPT, DIFFERENCE = "speed", "times", "kept", "difference"


def form(key: str) -> str:
    """Return how a change is told: a factor of speed (times turned round) or of an amount, a share, or a difference."""
    entry = registry.changes()[key]
    if entry.change.kept:
        return KEPT
    if entry.change.how == LIKELIHOOD:
        return DIFFERENCE
    return SPEED if entry.change.how == TIMING and entry.better == "low" else TIMES


def title(key: str) -> str:
    """Return what a change is called at the head of a column."""
    label = registry.changes()[key].label
    if form(key) == SPEED:
        what, *rest = label.split(", ")
        return ", ".join(["Speed-up" if what == "Latency" else f"{what} speed-up", *rest])
    return f"{label} kept" if form(key) == KEPT else label


def factor(figure: Mapping[str, Any], key: str) -> tuple[float | None, float | None, float | None]:
    """Return a change as a factor with the ends of its interval: of a time, how many times as fast it became.

    Memory is one reading a run: its change has no test and so no ratio of its own.
    """
    if figure["value"] is None:
        return None, None, None
    ratio = figure.get("ratio", 1 + figure["value"] / 100)
    ends = ratio, figure.get("ratio_low"), figure.get("ratio_high")
    if form(key) != SPEED:
        return ends
    turned = [None if not end else 1 / end for end in ends]
    return turned[0], turned[2], turned[1]


def texts(figure: Mapping[str, Any], key: str) -> tuple[str, str]:
    """Return a change and its interval as text, e.g. ``2.37x`` and ``2.30-2.44``, ``98.2%``, or ``+0.012``."""
    if figure["value"] is None:
        return numbers.NOTHING, ""
    low, high = figure["low"], figure["high"]
    if low == high:
        low = high = None  # the same text, or the same score on every prompt
    how = form(key)
    if how == KEPT:
        return f"{numbers.fixed(figure['value'], 1)}%", numbers.percent_interval(low, high, signed=False)
    if how == DIFFERENCE:
        between = "" if low is None or high is None else f"{numbers.signed(low, 3)} to {numbers.signed(high, 3)}"
        return numbers.signed(figure["value"], 3), between
    return numbers.ratio_texts(*factor(figure, key))
