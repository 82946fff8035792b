"""Times in units of the reference's: each divided by what the reference took just before and after it.

A slow phase of the machine affects both, so the ratio of two techniques' relative times is free of drift slower than
the turns. Absolute figures stay as they were measured.
"""

from typing import Any

import numpy as np

from scripts.metrics import spread
from scripts.metrics.families import latency, throughput
from scripts.metrics.runs import Run

COLUMNS = ("latency_s", "ttft_s", "tpot_s", "busy_s")


def relative(runs: list[Run], batch_size: int) -> dict[str, Any] | None:
    """Return a technique's times in units of the reference's request; None if a run had no reference.

    Returns:
        ``natural`` and ``fixed`` (None where that mode was off): per prompt, averaged over runs, the columns of the
        samples. ``figures``: of each timing, natural and ``fixed_``, the value of each run, and ``run_scatter``.
    """
    readings = {fixed: _readings(runs, fixed) for fixed in (False, True)}
    if readings[False] is None:
        return None
    natural, fixed = (None if of is None else _times(runs, of, mode) for mode, of in readings.items())
    tokens = throughput.per_sample(runs)["new_tokens"]
    found = _figures(natural, "", batch_size)
    found["throughput_tokens_per_s"] = _rate(tokens, natural["busy_s"], batch_size)
    if fixed is not None:
        found |= _figures(fixed, "fixed_", batch_size)
    return {"natural": _averaged(natural), "fixed": None if fixed is None else _averaged(fixed), "figures": found}


def _readings(runs: list[Run], fixed: bool) -> np.ndarray | None:
    """Return the readings of the reference in seconds, shape (runs, prompts); None where one is missing."""
    found = [[sample.reference_s for sample in run.mode(fixed)] for run in runs]
    complete = all(row and None not in row for row in found)
    return np.array(found, dtype=float) if complete else None


def _times(runs: list[Run], readings: np.ndarray, fixed: bool) -> dict[str, np.ndarray]:
    times = latency.per_sample(runs, fixed) | throughput.per_sample(runs, fixed)
    return {key: times[key] / readings for key in COLUMNS}


def _averaged(times: dict[str, np.ndarray]) -> dict[str, list[float | None]]:
    return {key: latency.averages(values) for key, values in times.items()}


def _figures(times: dict[str, np.ndarray], prefix: str, batch_size: int) -> dict[str, dict[str, Any]]:
    found = {
        f"{prefix}{key}": {
            "runs": latency.run_means(times[key]),
            "run_scatter": spread.run_scatter(times[key], batch_size),
        }
        for key in latency.SPREAD_KEYS
    }
    busy = times["busy_s"]
    return found | {f"{prefix}throughput_samples_per_s": _rate(np.ones_like(busy), busy, batch_size)}


def _rate(amounts: np.ndarray, busy: np.ndarray, batch_size: int) -> dict[str, Any]:
    rates = amounts.sum(axis=1) / busy.sum(axis=1)
    return {"runs": rates.tolist(), "run_scatter": spread.run_scatter(busy, batch_size)}
