"""The axes of the trade-off picture: what each shows, how it is called, its scale, and which limit bounds it.

The page's scripts read them from the options that a reader chooses from, so that they stand here only.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from scripts.comparison import limits
from scripts.report import factors, numbers, rows, tail

LOG_FROM = 10.0
"""A ratio of largest to smallest value from which an axis is logarithmic."""
CROWDED_FROM, CROWDED = 3.0, 1 / 3
"""And one from which it is where the lower half of the values is crowded into such a part of the linear axis."""
TIME, BYTES, AMOUNT, SCORE = "time", "bytes", "amount", "score"
UNITS = {TIME: numbers.TIME, BYTES: numbers.BYTES}
LEAST = "min_throughput_samples_per_s"
# From the coarsest to the finest.
DIGITS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 6, 8), tuple(step / 5 for step in range(5, 50)))


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        key: its figure.
        name, note: how it is called.
        kind: ``time`` and ``bytes`` have units with prefixes; ``amount`` has the figure's own; ``score`` has none, and
            is never drawn on a logarithmic scale.
        low: whether less is better.
        change: the change against another technique that is told of it.
        limit: the limit that bounds it, ``size``: how many of the figure's units one of the limit's is.
        inverse: whether the limit bounds the reciprocal.
    """

    key: str
    name: str
    kind: str = AMOUNT
    note: str = ""
    low: bool = True
    change: str = ""
    limit: str = ""
    size: float = 1.0
    inverse: bool = False

    @property
    def logarithmic(self) -> bool:
        """Whether it may have a logarithmic scale."""
        return self.kind != SCORE


ACROSS = (
    Axis("latency_s", "Mean latency", TIME, change="latency_change_percent"),
    Axis(tail.KEY, tail.P99, TIME, limit="max_p99_latency_s"),
    # Time a sample, so that less is better on every axis across and the front lies on the same side.
    Axis(rows.PER_SAMPLE, "Time per sample", TIME, "1 / throughput", limit=LEAST, inverse=True),
    Axis("peak_memory_bytes", "Peak memory", BYTES, change="peak_memory_change_percent", limit="max_peak_memory_gb",
         size=limits.GIGABYTE),
    Axis("cost_per_million", "Cost per million headlines", limit="max_cost_per_million"),
    Axis("energy_per_sample_j", "Energy a headline"),
)  # fmt: skip
UP = (
    Axis("rougeL", "ROUGE-L", SCORE, low=False, change="quality_kept_percent_rougeL", limit=limits.KEPT),
    Axis("rouge1", "ROUGE-1", SCORE, low=False, change="quality_kept_percent_rouge1"),
    Axis("rouge2", "ROUGE-2", SCORE, low=False, change="quality_kept_percent_rouge2"),
    Axis("reference_nll_per_token", "Reference NLL", SCORE, change="reference_nll_change"),
    Axis("throughput_samples_per_s", "Throughput", low=False, change="throughput_change_percent", limit=LEAST),
)
BY_KEY = {axis.key: axis for axis in (*ACROSS, *UP)}


def options(axes: Sequence[Axis], comparison: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the page needs of each axis: those that some technique has a value on, and the cost.

    ``hidden`` is the one that only a price of the reader's gives values.
    """
    ran = rows.ran(comparison["techniques"])
    found = []
    for axis in axes:
        figures = [figure for technique in ran if (figure := rows.figure(technique, axis.key))["value"] is not None]
        priced = axis.limit == "max_cost_per_million"
        if not figures and not (priced and any(t["device_hours_per_million"]["value"] is not None for t in ran)):
            continue
        named = replace(axis, name=tail.title(ran)) if axis.key == tail.KEY else axis
        unit = "" if axis.kind in UNITS else comparison["price"]["currency"] if priced else figures[0]["unit"]
        found.append(
            {
                "axis": named,
                "unit": "" if unit == "1" else unit,
                "form": factors.form(axis.change) if axis.change else "speed" if axis.kind == TIME else "times",
                "hidden": not figures,
            }
        )
    return found


def is_logarithmic(axis: Axis, values: Sequence[float]) -> bool:
    """Whether the range of the values asks for a logarithmic scale."""
    if not axis.logarithmic or not values or min(values) <= 0:
        return False
    low, high = min(values), max(values)
    crowded = statistics.median(values) - low < CROWDED * (high - low)
    return high / low > (CROWDED_FROM if crowded else LOG_FROM)


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Return ticks of a logarithmic scale: the finest digits of which there are no more than wanted."""
    best: list[float] = []
    for digits in DIGITS:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        found = [digit * 10.0**power for power in decades for digit in digits]
        found = [tick for tick in found if low <= tick <= high]
        if len(found) > most:
            break
        best = found
    return best or found
