"""Memory of a run, summed over its devices, and what it consists of: measured, and computed from the model's shape."""

import math
from typing import Any

import numpy as np

from scripts.foundation.errors import StudyError
from scripts.hardware import fit, sizes
from scripts.metrics import figures, model_facts
from scripts.metrics.figures import Figure
from scripts.metrics.runs import Run

SUMS = {
    "peak_memory_bytes": "peak_bytes",
    "load_peak_memory_bytes": "load_peak_bytes",
    "weight_bytes": "weight_bytes",
}
PARTS = {
    "base_memory_bytes": "base_bytes",
    "kv_cache_bytes": "kv_cache_bytes",
    "activation_bytes": "activation_bytes",
}
ANALYTIC = ("analytic_weight_bytes", "analytic_kv_cache_bytes")
UNITS = dict.fromkeys((*SUMS, *PARTS, *ANALYTIC, "needed_bytes_per_device"), "B")
NOT_READ = "not read on this machine"
NOT_RESET = "the peak could not be reset here, so it is that of the whole process"
TOLERANCE = 0.05


def memory_figures(runs: list[Run]) -> dict[str, Figure]:
    """Return every memory figure in bytes, averaged over runs.

    Raises:
        StudyError: a sum in run.json is not the sum of its devices, or is no number.
    """
    inexact = any(run.info["memory"].get("peak_is_exact") is False for run in runs)
    result = {}
    for key, part in SUMS.items():
        result[key] = _repeated([_checked_sum(run, key, part) for run in runs])
        if inexact and key != "weight_bytes" and result[key]["value"] is not None:
            result[key]["note"] = NOT_RESET
    for key, part in PARTS.items():
        result[key] = _repeated([_sum([row[part] for row in anatomy([run])]) for run in runs])
        if inexact and key == "activation_bytes" and result[key]["value"] is not None:
            result[key]["note"] = NOT_RESET
    needed = _repeated([_needed(run) for run in runs])
    if needed["value"] is not None:
        needed["note"] = f"of the fullest device, {fit.CONTEXT_BYTES / 1e9:g} GB for a CUDA context included"
    return result | _analytic_figures(runs[0]) | {"needed_bytes_per_device": needed}


def _repeated(values: list[float | None]) -> Figure:
    return figures.missing("B", NOT_READ) if None in values else figures.repeated_figure(values, "B")


def _sum(values: list[float | None]) -> float | None:
    return None if not values or None in values else sum(values)


def devices(runs: list[Run]) -> list[dict[str, Any]]:
    """Return the readings per device: those of the first run, with the mean peak over all runs beside them."""
    rows = []
    for index, device in enumerate(runs[0].info["memory"].get("devices") or []):
        peaks = [run.info["memory"]["devices"][index].get("peak_bytes") for run in runs if _has(run, index)]
        known = [peak for peak in peaks if peak is not None]
        rows.append(device | {"mean_peak_bytes": float(np.mean(known)) if known else None})
    return rows


def anatomy(runs: list[Run]) -> list[dict[str, Any]]:
    """Return what the memory of each device consists of, in bytes, averaged over runs.

    ``base_bytes`` were held before the model was loaded, ``activation_bytes`` is what the peak holds beside base,
    weights and cache: activations, workspace, and what an allocator keeps. None where a reading is missing.
    """
    counts = {len(run.info["memory"].get("devices") or []) for run in runs}
    return [_device_anatomy(runs, index) for index in range(min(counts))]


def _device_anatomy(runs: list[Run], index: int) -> dict[str, Any]:
    readings = [run.info["memory"]["devices"][index] for run in runs]

    def mean(key: str) -> float | None:
        values = [reading.get(key) for reading in readings]
        return None if None in values else float(np.mean(values))

    row = {
        "device": readings[0].get("device"),
        "rank": readings[0].get("rank"),
        "base_bytes": mean("before_load_bytes"),
        "weight_bytes": mean("weight_bytes"),
        "kv_cache_bytes": mean("kv_cache_bytes"),
        "load_peak_bytes": mean("load_peak_bytes"),
        "peak_bytes": mean("peak_bytes"),
        "device_total_bytes": readings[0].get("device_total_bytes"),
    }
    named = _sum([row["base_bytes"], row["weight_bytes"], row["kv_cache_bytes"]])
    known = named is not None and row["peak_bytes"] is not None
    return row | {"activation_bytes": max(0.0, row["peak_bytes"] - named) if known else None}


def _analytic_figures(run: Run) -> dict[str, Figure]:
    """Weights and cache by arithmetic; the cache for as many positions as the measured one had."""
    facts = model_facts.of_run(run)
    if facts is None:
        return {key: figures.missing("B", model_facts.NO_SHAPE) for key in ANALYTIC}
    weights = _computed_weights(run, facts)
    result = {"analytic_weight_bytes": figures.figure(float(weights), "B", 1, note="computed from the model's shape")}
    cache = _analytic_cache(run, facts)
    if cache is None:
        return result | {"analytic_kv_cache_bytes": figures.missing("B", "the cache's length was not read")}
    positions = _positions(run)
    note = f"computed from the model's shape, for {positions:,} positions" if cache else "no cache"
    return result | {"analytic_kv_cache_bytes": figures.figure(float(cache), "B", 1, note=note)}


def _measured_weights(run: Run) -> float | None:
    return _sum([device.get("weight_bytes") for device in run.info["memory"].get("devices") or []])


def _computed_weights(run: Run, facts: model_facts.ModelFacts) -> int:
    """Bytes by arithmetic; bitsandbytes lays 4-bit weights out anew at their first use on some processors."""
    computed = [
        sizes.weight_bytes(facts.architecture, facts.settings, facts.dtype, facts.draft, repacked=repacked)
        for repacked in (False, True)
    ]
    # Whichever is nearer to what was measured is meant; the layout is not recorded.
    measured = _measured_weights(run)
    return computed[0] if measured is None else min(computed, key=lambda size: abs(size - measured))


def _analytic_cache(run: Run, facts: model_facts.ModelFacts) -> int | None:
    positions = _positions(run)
    if positions is None:
        return None
    return sizes.kv_cache_bytes(facts.architecture, facts.settings, facts.dtype, positions)


def _positions(run: Run) -> int | None:
    """Token positions times sequences in the cache; ranks hold heads or layers of the same positions."""
    found = [device.get("kv_cache_positions") for device in run.info["memory"].get("devices") or []]
    return None if not found or None in found else max(found)


def check(runs: list[Run]) -> dict[str, Any]:
    """Hold the first run's measured weights and cache against what the model's shape gives.

    Returns:
        ``weights_ratio`` and ``kv_cache_ratio`` (measured / computed; None where one is unknown or both are zero) and
        ``agrees``: whether each known ratio is within 5% of 1; None where none is known.
    """
    run = runs[0]
    facts = model_facts.of_run(run)
    if facts is None:
        return {"weights_ratio": None, "kv_cache_ratio": None, "agrees": None}
    held = run.info["memory"].get("devices") or []
    weights = _measured_weights(run)
    nearest = _computed_weights(run, facts)
    cache, computed_cache = _sum([device.get("kv_cache_bytes") for device in held]), _analytic_cache(run, facts)
    ratios = {"weights_ratio": _ratio(weights, nearest), "kv_cache_ratio": _ratio(cache, computed_cache)}
    known = [ratio for ratio in ratios.values() if ratio is not None]
    agrees = all(abs(ratio - 1) <= TOLERANCE for ratio in known) if known else None
    # A cache where there should be none has no ratio.
    return ratios | {"agrees": agrees and not (cache and computed_cache == 0)}


def _ratio(measured: float | None, computed: float | None) -> float | None:
    return measured / computed if measured is not None and computed else None


def _needed(run: Run) -> float | None:
    """Bytes that the fullest device of the run needed beside what it held before."""
    needs = [
        None
        if None in (row["weight_bytes"], row["kv_cache_bytes"], row["activation_bytes"])
        else fit.needed_bytes(row["weight_bytes"], row["kv_cache_bytes"], row["activation_bytes"])
        for row in anatomy([run])
    ]
    return None if not needs or None in needs else max(needs)


def smallest_gpu(runs: list[Run]) -> dict[str, Any] | None:
    """Return the GPU of the data-sheet table with the least memory that every device of the technique would fit on.

    Returns:
        ``name`` (None where none is large enough), ``memory_bytes``, ``devices`` (how many of them), ``needed_bytes``
        of each and ``note``; None where memory was not read.
    """
    needs = [_needed(run) for run in runs]
    if None in needs:
        return None
    needed = max(needs)
    gpu = fit.smallest(needed)
    note = (
        f"weights, cache and activations as measured, {fit.CONTEXT_BYTES / 1e9:g} GB for a CUDA context and "
        f"{fit.HEADROOM:.0%} of the GPU left free"
    )
    if runs[0].info["memory"].get("method") != "cuda_allocator":
        note += "; measured on a processor, whose activations also hold what libraries load late"
    return {
        "name": gpu.label if gpu else None,
        "memory_bytes": gpu.memory_bytes if gpu else None,
        "devices": len(anatomy(runs)),
        "needed_bytes": needed,
        "note": note,
    }


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
