"""Gains of each technique over the reference by criterion, with draws of their uncertainty.

A gain is the logarithm of a ratio, positive where the technique is better. Its draws cover both levels of variation
that the intervals of changes have (``two_levels``): resampled prompts, the same ones for all techniques, and the
processes, drawn for each technique by itself. Latency and throughput come from the same processes, so they share that
draw. The scatter of single requests is in both sources; changes take it out of one, by an amount that differs from pair
to pair. Here it stays in both, so the draws spread a little more than they need to. A batch's prompts share its time,
so techniques with batches are resampled by whole ones, as their changes are. Requests a second under load come from
runs of their own, whose searches left a bracket: a draw takes a rate inside of it and adds what other runs would.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats

from scripts.comparison import changes
from scripts.comparison.columns import NATURAL, Columns
from scripts.comparison.two_levels import Quantity
from scripts.metrics import registry, resampling
from scripts.metrics.entry import TIMING, Entry

DRAWS = 1_000
SMALLEST = float(np.finfo(float).tiny)
"""Stands for a score of zero, which has no logarithm; no other gain can compensate for it."""
CAPACITY = "capacity"
LEAST_DRAWN = 1e-3
"""A resampled mean counts as at least this share of the mean itself, so that its logarithm is finite."""

Metrics = dict[str, dict[str, Any]]


@dataclass
class Draws:
    """Draws of gains, and which levels of variation they cover.

    Attributes:
        gains: per technique and criterion the drawn gains, shape (DRAWS,); absent where one does not vary.
        single_run: techniques with one run, whose run-to-run variance is unknown.
        unresampled: techniques with too few batches for resampling.
    """

    gains: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    single_run: list[str] = field(default_factory=list)
    unresampled: list[str] = field(default_factory=list)


def criteria() -> dict[str, Entry]:
    """Return the criteria of the overall score, and the figures that they are judged by."""
    return {entry.criterion: entry for entry in registry.entries() if entry.criterion}


def _sign(entry: Entry) -> int:
    return 1 if entry.better == "high" else -1


def _timings() -> dict[str, Entry]:
    return {name: entry for name, entry in criteria().items() if entry.change and entry.change.how == TIMING}


def values(content: dict[str, Any]) -> dict[str, float]:
    """Return what a technique's criteria are judged by; one that was not measured is absent."""
    found = {criterion: content["figures"].get(entry.key) or {} for criterion, entry in criteria().items()}
    return {criterion: figure["value"] for criterion, figure in found.items() if figure.get("value") is not None}


def log_gains(own: dict[str, float], compared: dict[str, float]) -> dict[str, float]:
    """Return the gains of a technique by the criteria that count, each over a positive value of ``compared``."""
    known = criteria()
    return {
        criterion: float(_sign(known[criterion]) * np.log(max(own[criterion], SMALLEST) / value))
        for criterion, value in compared.items()
        if criterion in own
    }


def draw(bases: dict[str, str], gains: dict[str, dict[str, float]], metrics: Metrics, columns: Columns) -> Draws:
    """Draw the gains of all techniques; there are prompts enough to resample.

    Args:
        bases: per criterion that counts the technique that they are gains over.
        gains: per technique its gains.
        metrics: per technique the content of its metrics file.
        columns: of all techniques that ran.
    """
    found, timings = Draws(), _timings()
    for name, own in gains.items():
        drawn = {}
        for criterion in sorted(own.keys() & timings.keys()):
            pair = _pair(timings[criterion], name, bases[criterion], metrics, columns)
            drawn[criterion] = _timing(own[criterion], _sign(timings[criterion]), (name, bases[criterion]), pair)
            _note(found, name, pair)
        if "quality" in own:
            drawn["quality"] = _quality(own["quality"], name, bases["quality"], columns)
        if CAPACITY in own:
            drawn[CAPACITY] = own[CAPACITY] + _edge(name, metrics) - _edge(bases[CAPACITY], metrics)
        # The reference's own gain is nothing, whatever was drawn; so is that of a technique with its very headlines.
        moving = {key: each for key, each in drawn.items() if name != bases[key] and np.ptp(each) > 0}
        if moving:
            found.gains[name] = moving
    return found


def in_reference_units(
    gains: dict[str, dict[str, float]], reference: str, metrics: Metrics, columns: Columns
) -> dict[str, dict[str, float]]:
    """Return the gains with those of timings taken from times in units of the reference process's, where all have them.

    One technique without would stand on another scale than the rest, so then none does.
    """
    if not columns.relative(list(gains)):
        return gains
    found, timings = {}, _timings()
    for name, own in gains.items():
        found[name] = dict(own)
        for criterion in own.keys() & timings:
            mine, theirs = _pair(timings[criterion], name, reference, metrics, columns)
            found[name][criterion] = float(_sign(timings[criterion]) * np.log(mine.value / theirs.value))
    return found


def _pair(entry: Entry, name: str, reference: str, metrics: Metrics, columns: Columns) -> list[Quantity]:
    whole = columns.relative([key for key, content in metrics.items() if content["status"] == "ok"])
    return changes.timing_quantities(entry.change.key, [metrics[name], metrics[reference]], whole or columns.in_seconds)


def _timing(gain: float, sign: int, names: tuple[str, str], pair: list[Quantity]) -> np.ndarray:
    """Return the drawn gains of a timing; a slower process is slower by both criteria."""
    own, other = pair
    drawn = np.full(DRAWS, gain)
    if own.spread is not None and other.spread is not None:
        drawn = sign * (_logs(own) - _logs(other))
    return drawn - _slowness(names[0], own) + _slowness(names[1], other)


def _quality(gain: float, name: str, reference: str, columns: Columns) -> np.ndarray:
    """Return the drawn gains of quality; a score of zero stays zero whichever prompts are drawn."""
    own, other = (columns.quantity(each, "rougeL") for each in (name, reference))
    return _logs(own) - _logs(other) if own.value > 0 else np.full(DRAWS, gain)


def _logs(quantity: Quantity) -> np.ndarray:
    return np.log(np.maximum(quantity.spread[:DRAWS], quantity.value * LEAST_DRAWN))


def _slowness(name: str, quantity: Quantity) -> np.ndarray:
    """Draw the log slowness of a technique's processes: t times the standard error of their mean.

    The variance is that of ``two_levels.run_component``. The draws are evenly spaced quantiles in an order of the
    technique's own, which no other technique's presence changes.
    """
    runs = quantity.runs or ()
    if len(runs) < 2:
        return np.zeros(DRAWS)
    if quantity.noise:
        variance, freedom = quantity.noise.variance, quantity.noise.freedom
    else:
        variance, freedom = float(np.var(np.log(runs), ddof=1)), len(runs) - 1
    if variance == 0:
        return np.zeros(DRAWS)
    return np.sqrt(variance / len(runs)) * stats.t.ppf(_quantiles(name, 1), freedom)


def _edge(name: str, metrics: Metrics) -> np.ndarray:
    """Draw how far the logarithm of a technique's highest rate is from its figure, as ``families.load`` has intervals.

    The edge lies between the rates that kept the limits, which the figure is the mean of, and those that broke them;
    where a run broke them at none, nothing is known above.
    """
    figure = metrics[name]["figures"][criteria()[CAPACITY].key]
    logs, breaks = np.log(figure["runs"]), [end for _, end in figure.get("bracket") or []]
    drawn = np.zeros(DRAWS)
    if breaks and None not in breaks:
        drawn += _quantiles(name, 2) * max(float(np.log(breaks).mean() - logs.mean()), 0.0)
    if len(logs) > 1:
        drawn += stats.t.ppf(_quantiles(name, 3), len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs))
    return drawn


def _quantiles(name: str, kind: int) -> np.ndarray:
    """Return evenly spaced quantiles in an order of a technique's own, another one for each kind of draw."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return (np.random.default_rng([resampling.SEED + kind, seed]).permutation(DRAWS) + 0.5) / DRAWS


def _note(found: Draws, name: str, pair: list[Quantity]) -> None:
    """Note which level of variation the draws of a technique's speed lack."""
    if len(pair[0].runs or ()) < 2 and name not in found.single_run:
        found.single_run.append(name)
    if pair[0].spread is None and name not in found.unresampled:
        found.unresampled.append(name)


def enough_prompts(name: str, columns: Columns) -> bool:
    """Whether a technique has as many prompts as resampling takes."""
    return len(columns.ids[name, NATURAL]) >= resampling.MIN_PROMPTS
