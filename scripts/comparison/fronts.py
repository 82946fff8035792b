"""Pareto fronts with uncertainty: each technique's chance of being on one.

A technique is off the front in a draw if another is at least as good on both axes and better on one. Times are those of
the draws that the ranking has (``gains``): resampled prompts and processes, in units of the reference process's where
all have it, so that drift cancels as in scores and tests. Quality counts as better only where a
test over all pairs shows it, paired over the prompts, so that a gain which may be chance puts nothing on the front.
The test is the bootstrap's p-value with the false discovery rate held at 5% (Benjamini and Hochberg, 1995): a front
asks of hundreds of pairs which differences are real, and makes no claim of a single one for Holm's correction to guard.
"""

from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats

from scripts.comparison import scores, two_levels, verdicts
from scripts.comparison.columns import NATURAL, Columns
from scripts.metrics import registry
from scripts.metrics.figures import value_of

TESTED = ("rougeL", "rouge1", "rouge2", "reference_nll_per_token")
"""What quality is tested by."""
# What has draws -> the criterion whose gains it moves with: more of a gain is less of the first, more of the second.
FALLING = {"latency_s": "latency", "time_per_sample_s": "throughput", "cost_per_million": "throughput"}
RISING = {"throughput_samples_per_s": "throughput"}
FIRM = 0.95
POSSIBLE = 1 - FIRM
ALPHA = 0.05


def fronts(rows: list[dict[str, Any]], ranking: dict[str, Any] | None, columns: Columns) -> dict[str, Any]:
    """Return what fronts are made of beside the ranking's draws.

    Args:
        rows: the techniques of the comparison, judged.
        ranking: the comparison's.
        columns: of all techniques that ran.

    Returns:
        ``above``: per figure of quality that was tested, per technique the techniques that it is shown to be better
        than. ``firm`` and ``possible``: the least chances of being on a front for certain, and perhaps. ``falling``
        and ``rising``: which criterion's draws move a figure, and to which side. ``latency``:
        per technique its ``chance`` of being on the front of latency and quality (throughput, where no quality was
        measured), and ``behind``, the one that keeps it off in most draws, or None.
    """
    ran = [row for row in rows if row["status"] == "ok"]
    above = {key: found for key in TESTED if (found := _above(key, ran, columns)) is not None}
    y_key = quality_key(rows)
    points = {row["name"]: (value_of(row, "latency_s"), value_of(row, y_key)) for row in ran}
    known = {name: point for name, point in points.items() if None not in point}
    found = chances(known, "latency_s", y_key, False, {"ranking": ranking, "fronts": {"above": above}})
    latency = {name: {"chance": chance, "behind": behind} for name, (chance, behind) in found.items()}
    return {
        "above": above,
        "firm": FIRM,
        "possible": POSSIBLE,
        "falling": FALLING,
        "rising": RISING,
        "latency": latency,
    }


def quality_key(rows: list[dict[str, Any]]) -> str:
    """Return what is set against time: quality, or throughput where no technique that ran has a quality."""
    ran = [row for row in rows if row["status"] == "ok"]
    measured = any(value_of(row, "rougeL") is not None for row in ran)
    return "rougeL" if measured or not ran else "throughput_samples_per_s"


def _above(key: str, ran: list[dict[str, Any]], columns: Columns) -> dict[str, list[str]] | None:
    """Return per technique those that it is shown to be better than, or None where nothing could be tested."""
    entry = next(entry for entry in registry.entries() if entry.key == key)
    numerator, denominator, sign = entry.change.numerator, entry.change.denominator, 1 if entry.better == "high" else -1
    rows = [row for row in ran if columns.has(row["name"], NATURAL, numerator)]
    pairs = [pair for pair in combinations(rows, 2) if _comparable(pair, denominator, columns)]
    own = {row["name"]: columns.quantity(row["name"], numerator, denominator) for row in rows}
    ratios = [two_levels.ratio([own[one["name"]]], [own[other["name"]]]) for one, other in pairs]
    if not pairs or any(ratio is None or ratio.p_value is None for ratio in ratios):
        return None
    adjusted = stats.false_discovery_control([ratio.p_value for ratio in ratios])
    found: dict[str, list[str]] = {row["name"]: [] for row in rows}
    for (one, other), ratio, p_value in zip(pairs, ratios, adjusted, strict=True):
        better, worse = (one, other) if sign * (ratio.value - 1) > 0 else (other, one)
        if p_value < ALPHA and not _denied(better, worse, entry.change.key):
            found[better["name"]].append(worse["name"])
    return found


def _comparable(pair: tuple[dict[str, Any], dict[str, Any]], denominator: str | None, columns: Columns) -> bool:
    names = [row["name"] for row in pair]
    if not columns.comparable(names, NATURAL):
        return False
    return denominator is None or np.array_equal(*(columns.columns[name, NATURAL][denominator] for name in names))


def _denied(better: dict[str, Any], worse: dict[str, Any], change: str) -> bool:
    """Whether the report's own verdict on this pair is that there is no such difference: then there is none here."""
    for one, other in ((better, worse), (worse, better)):
        for found in one["changes"].values():
            if found["against"] != other["name"] or not found["figures"]:
                continue
            gained = one is better and found["quality_kept"]["verdict"] == "undecided"
            if gained or found["figures"][change].get("verdict") in verdicts.NO_CHANGE:
                return True
    return False


def chances(
    points: dict[str, tuple[float, float]], x_key: str, y_key: str, low: bool, comparison: dict[str, Any]
) -> dict[str, tuple[float, str | None]]:
    """Return each technique's chance of being on the front, and which other keeps it off in most draws, if any does.

    Args:
        points: per technique its value on the x axis, where less is better, and on the y axis.
        x_key, y_key: the figures of the axes.
        low: whether less is better on the y axis too.
        comparison: its ``ranking`` and ``fronts``.
    """
    names = list(points)
    draws = (comparison["ranking"] or {}).get("draws") or 1
    across = np.array([_drawn(name, points[name][0], FALLING.get(x_key), -1, draws, comparison) for name in names])
    sign = -1 if low else 1
    up = np.array([sign * _drawn(name, points[name][1], RISING.get(y_key), 1, draws, comparison) for name in names])
    tested = comparison["fronts"]["above"].get(y_key)
    found = {}
    for i, name in enumerate(names):
        beaten = np.zeros((len(names), across.shape[1]), dtype=bool)
        for j, other in enumerate(names):
            if i == j:
                continue
            if tested is None:
                worse, better = up[j] < up[i] - scores.TIE, up[j] > up[i] + scores.TIE
            else:
                worse, better = other in tested.get(name, ()), name in tested.get(other, ())
            faster, slower = across[j] < across[i] - scores.TIE, across[j] > across[i] + scores.TIE
            beaten[j] = ~slower & ~np.asarray(worse) & (faster | better)
        share = beaten.mean(axis=1)
        by = names[int(share.argmax())] if share.max() > 0 else None
        found[name] = (float((~beaten.any(axis=0)).mean()), by)
    return found


def place(chance: float) -> str:
    """Return ``firm``, ``possible`` or ``off``: whether a technique is on a front."""
    return "firm" if chance >= FIRM else "possible" if chance >= POSSIBLE else "off"


def _drawn(
    name: str, value: float, criterion: str | None, sign: int, draws: int, comparison: dict[str, Any]
) -> np.ndarray:
    """Return a value in every draw, as a logarithm where it has draws: moved as far as the gain of its criterion is."""
    ranking = comparison["ranking"] or {}
    spread = (ranking.get("spread") or {}).get(name) or {}
    logarithm = float(np.log(value)) if criterion and value > 0 else value
    # Of requests one by one samples a second are 1 / latency, and share its draws.
    source = "latency" if criterion == "throughput" and ranking.get("one_by_one") else criterion
    gain = ((ranking.get("log_gains") or {}).get(name) or {}).get(source)
    if gain is None:
        return np.full(draws, logarithm)
    moved = scores.unpack(spread[source]) if source in spread else np.full(draws, gain)
    # Where gains are in units of the reference process's, the value moves to where that puts it among the others.
    as_measured = ranking.get("log_gains_as_measured") or ranking["log_gains"]
    return logarithm + sign * (moved - as_measured[name][source])
