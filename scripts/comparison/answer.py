"""The study's answer: the fastest technique, the fastest that keeps quality, and the one with the least memory."""

from typing import Any

from scripts.comparison import changes, two_levels, verdicts
from scripts.comparison.columns import NATURAL, Columns
from scripts.comparison.loading import Metrics


def answer(techniques: list[dict[str, Any]], baseline: str | None, columns: Columns) -> dict[str, Any]:
    """Pick the techniques that a reader asks for first.

    Args:
        techniques: the techniques of the comparison, in report order.
        baseline: name of the baseline when it ran, else None.
        columns: of all techniques that ran.

    Returns:
        ``reference``: the baseline's name or None. ``ran``: how many techniques have figures. ``fastest``: lowest mean
        latency, in units of the reference process's where all have it, as in tests and scores, which cancels
        drift of the machine. ``fastest_kept``: the same among those whose quality is
        shown to be kept against the baseline, which includes the baseline itself. ``smallest``: lowest peak memory.
        Each is a name or None.
    """
    ran = [technique for technique in techniques if technique["status"] == "ok"]
    kept = [technique for technique in ran if technique["name"] == baseline or _kept(technique)]
    measured = any(technique["quality_measured"] for technique in ran)
    latencies = _latencies([technique["name"] for technique in ran], columns)
    return {
        "reference": baseline,
        "ran": len(ran),
        "quality_measured": measured,
        "fastest": _lowest(ran, latencies),
        "fastest_kept": _lowest(kept, latencies) if measured and baseline else None,
        "smallest": _lowest(ran, {each["name"]: each["figures"]["peak_memory_bytes"]["value"] for each in ran}),
    }


def ties(fastest: str | None, metrics: Metrics, columns: Columns, key: str = changes.LATENCY) -> list[str] | None:
    """Return the techniques that are not shown to differ from the fastest, by the same test as every change.

    Args:
        fastest: the technique with the lowest mean latency, or the best by another quantity; or None.
        metrics: per technique the content of its metrics file.
        columns: of all techniques that ran.
        key: the change whose quantity is tested.

    Returns:
        Names in report order; None where nothing can be tested, as with one run of each.
    """
    others = [name for name, content in metrics.items() if content["status"] == "ok" and name != fastest]
    if fastest is None:
        return None
    # In the units that it was picked by.
    units = columns if columns.relative([fastest, *others]) else columns.in_seconds
    p_values = {}
    for name in others:
        mine, best = changes.timing_quantities(key, [metrics[name], metrics[fastest]], units) or (None, None)
        found = two_levels.ratio([mine], [best]) if mine and best else None
        if found and found.p_value is not None:
            p_values[name] = found.p_value
    if others and not p_values:
        return None
    adjusted = verdicts.holm(p_values)
    return [name for name in others if adjusted.get(name, 1.0) >= verdicts.ALPHA]


def _kept(technique: dict[str, Any]) -> bool:
    return technique["changes"]["baseline"]["quality_kept"]["verdict"] == "kept"


def _latencies(names: list[str], columns: Columns) -> dict[str, float]:
    """Return the mean latency of each, in units of the reference process's where all of them have it."""
    units = columns.relative(names) or columns
    return {name: float(units.columns[name, NATURAL]["latency_s"].mean()) for name in names}


def _lowest(techniques: list[dict[str, Any]], values: dict[str, float | None]) -> str | None:
    """Return the name with the lowest value; the first in report order among equals."""
    known = [technique["name"] for technique in techniques if values[technique["name"]] is not None]
    return min(known, key=lambda name: values[name], default=None)
