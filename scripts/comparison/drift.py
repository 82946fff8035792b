"""Flags runs in which the machine itself was slower or faster, by both calibration and times.

Calibrations vary more from minute to minute than a run's times, so a fixed bound on them would say nothing about the
times. A run is flagged if both deviate from the technique's other runs in the same direction, each by more than runs of
the study's other techniques do. Deviating times alone are the spread that intervals cover; a deviating calibration
alone had no effect.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from scripts.comparison.loading import Metrics

CALIBRATED = {
    "read_bytes_per_s": "reading memory",
    "copy_bytes_per_s": "copying memory",
    "matmul_flops_per_s": "matrix multiplication",
}
LEVEL = 0.05
"""Level of the test that the times of any of a technique's runs are outliers, and of that of its calibrations."""
EFFICIENCY = 0.37
"""Of the median absolute deviation at the normal distribution, against the standard deviation (Huber, 1981)."""

Levels = dict[str, np.ndarray]  # per technique one log value a run


@dataclass(frozen=True)
class Deviations:
    """Deviation of each run of a technique from the mean of its other runs.

    Attributes:
        log_ratio: (runs,), of each run to the geometric mean of the others.
        score: (runs,), deviation in units of the other techniques' spread.
        freedom: degrees of freedom of that unit.
    """

    log_ratio: np.ndarray
    score: np.ndarray
    freedom: float


def flags(metrics: Metrics) -> dict[str, dict[str, str]]:
    """Return the flag of each technique that has one, for its most deviating run.

    Args:
        metrics: per technique the content of its metrics file, of one study.
    """
    ran = {name: content for name, content in metrics.items() if content["status"] == "ok"}
    times = {name: _times(content) for name, content in ran.items()}
    rates = {key: {name: _rates(content, key) for name, content in ran.items()} for key in CALIBRATED}
    found = {}
    for name in ran:
        # Of two runs, which are equally far from each other, the slower one.
        worst = max(_drifted(name, times, rates), key=lambda run: (round(abs(run[0]), 9), run[0]), default=None)
        if worst is not None:
            found[name] = {"kind": "drift", "message": _message(*worst, len(times[name]))}
    return found


def _drifted(name: str, times: Levels, rates: dict[str, Levels]) -> Iterator[tuple[float, int, float, str]]:
    """Yield of each run that drifted its log ratio of times, its index, that of the rate and which rate it is."""
    slow = deviations(name, times)
    if slow is None:
        return
    machine = {key: found for key, levels in rates.items() if (found := deviations(name, levels)) is not None}
    runs = len(slow.score)
    bound = stats.t.isf(LEVEL / 2 / runs, slow.freedom)
    for run in np.flatnonzero(np.abs(slow.score) > bound):
        sign = np.sign(slow.score[run])
        agreeing = [
            (-sign * found.score[run], found.log_ratio[run], key)
            for key, found in machine.items()
            if -sign * found.score[run] > stats.t.isf(LEVEL / len(machine), found.freedom)
        ]
        if agreeing:
            _, rate, key = max(agreeing)
            yield float(slow.log_ratio[run]), int(run), float(rate), key


def deviations(name: str, levels: Levels) -> Deviations | None:
    """Return the deviations of a technique's runs; None with one run, or without other techniques to compare with."""
    own = levels[name]
    others = [values for other, values in levels.items() if other != name and len(values) > 1]
    if len(own) < 2 or not others:
        return None
    # The median is not moved by a run of another technique that drifted too.
    unit = stats.norm.ppf(0.75) ** -1 * np.median(np.abs(np.concatenate([_residuals(values) for values in others])))
    if not unit > 0:
        return None
    freedom = max(1.0, EFFICIENCY * sum(len(values) - 1 for values in others))
    count = len(own)
    return Deviations((own - own.mean()) * count / (count - 1), _residuals(own) / unit, freedom)


def _residuals(values: np.ndarray) -> np.ndarray:
    """Deviations from the mean, scaled to the variance of a single value."""
    return (values - values.mean()) * np.sqrt(len(values) / (len(values) - 1))


def _times(content: dict[str, Any]) -> np.ndarray:
    """Log of the mean latency of each run, averaged over the modes that there are."""
    modes = [content["figures"][key].get("runs") for key in ("latency_s", "fixed_latency_s")]
    known = [np.log(runs) for runs in modes if runs and all(value and value > 0 for value in runs)]
    return np.mean(known, axis=0) if known else np.empty(0)


def _rates(content: dict[str, Any], key: str) -> np.ndarray:
    """Log of what the machine could do around each run; empty where one of them was not calibrated."""
    found = []
    for run in content.get("runs") or []:
        calibration = run.get("calibration") or {}
        readings = [(calibration.get(when) or {}).get(key) for when in ("before", "after")]
        if not all(readings):
            return np.empty(0)
        found.append(np.mean(np.log(readings)))
    return np.array(found)


def _message(slower: float, run: int, rate: float, key: str, runs: int) -> str:
    change = np.exp(rate) - 1
    return (
        f"Run {run + 1} of {runs} took {np.exp(slower):.2f} times as long as its other runs, and {CALIBRATED[key]} was "
        f"{abs(change):.0%} {'faster' if change > 0 else 'slower'} around it than around them: both more than the "
        "study's other runs differ."
    )
