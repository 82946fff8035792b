"""Memory of a run, summed over its devices: the peak while generating, the peak while loading, the weights."""

import math
from typing import Any

import numpy as np

from scripts.foundation.errors import StudyError
from scripts.metrics import figures
from scripts.metrics.figures import Figure
from scripts.metrics.runs import Run

SUMS = {
    "peak_memory_bytes": "peak_bytes",
    "load_peak_memory_bytes": "load_peak_bytes",
    "weight_bytes": "weight_bytes",
}


def memory_figures(runs: list[Run]) -> dict[str, Figure]:
    """Return peak, load peak and weights in bytes, summed over devices and averaged over runs.

    Raises:
        StudyError: a sum in run.json is not the sum of its devices, or is no number.
    """
    result = {}
    for key, part in SUMS.items():
        values = [_checked_sum(run, key, part) for run in runs]
        if any(value is None for value in values):
            result[key] = figures.missing("B", "not read on this machine")
        else:
            result[key] = figures.repeated_figure(values, "B")
            if key != "weight_bytes" and any(run.info["memory"].get("peak_is_exact") is False for run in runs):
                result[key]["note"] = "the peak could not be reset here, so it is that of the whole process"
    return result


def devices(runs: list[Run]) -> list[dict[str, Any]]:
    """Return the readings per device: those of the first run, with the mean peak over all runs beside them."""
    rows = []
    for index, device in enumerate(runs[0].info["memory"].get("devices") or []):
        peaks = [run.info["memory"]["devices"][index].get("peak_bytes") for run in runs if _has(run, index)]
        known = [peak for peak in peaks if peak is not None]
        rows.append(device | {"mean_peak_bytes": float(np.mean(known)) if known else None})
    return rows


def _has(run: Run, index: int) -> bool:
    return len(run.info["memory"].get("devices") or []) > index


def _checked_sum(run: Run, key: str, part: str) -> float | None:
    """Return one sum of a run after checking it against its devices."""
    memory = run.info["memory"]
    total = memory.get(key)
    if total is None:
        return None
    where = run.path / "run.json"
    if isinstance(total, bool) or not isinstance(total, int | float) or not math.isfinite(total) or total < 0:
        raise StudyError(f"{where}: 'memory.{key}' is {total!r}, not a size; delete the run and make it again.")
    parts = [device.get(part) for device in memory.get("devices") or []]
    if parts and None not in parts and sum(parts) != total:
        raise StudyError(f"{where}: 'memory.{key}' is not the sum of its devices; delete the run and make it again.")
    return float(total)
