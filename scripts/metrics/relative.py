"""Times in units of the reference's: each divided by what the reference took just before and after it.

A slow phase of the machine affects both, so the ratio of two techniques' relative times is free of drift slower than
the turns. Absolute figures stay as they were measured.
"""

from typing import Any

import numpy as np

from scripts.metrics import reference, spread
from scripts.metrics.families import latency, throughput
from scripts.metrics.runs import Run

COLUMNS = ("latency_s", "ttft_s", "tpot_s", "busy_s")


def relative(runs: list[Run], batch_size: int) -> dict[str, Any] | None:
    """Return a technique's times in units of the reference's request; None if a run had no reference.

    Returns:
        ``natural`` and ``fixed`` (None where that mode was off): per prompt, averaged over runs, the columns of the
        samples. ``figures``: of each timing, natural and ``fixed_``, the value of each run, and ``run_scatter``.
    """
    natural, fixed = (_times(runs, mode) for mode in (False, True))
    if natural is None:
        return None
    tokens = throughput.per_sample(runs)["new_tokens"]
    found = _figures(natural, "", batch_size)
    found["throughput_tokens_per_s"] = _rate(tokens, natural["busy_s"], batch_size)
    if fixed is not None:
        found |= _figures(fixed, "fixed_", batch_size)
    return {"natural": _averaged(natural), "fixed": None if fixed is None else _averaged(fixed), "figures": found}


def _times(runs: list[Run], fixed: bool) -> dict[str, np.ndarray] | None:
    """Return relative times, shape (runs, prompts); None where a reading of the reference is missing."""
    readings = reference.readings(runs, fixed)
    if readings is None:
        return None
    times = latency.per_sample(runs, fixed) | throughput.per_sample(runs, fixed)
    return {key: times[key] / np.array(readings) for key in COLUMNS}


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
