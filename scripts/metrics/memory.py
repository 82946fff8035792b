"""Memory of a run by parts, its check against the model's shape, and the smallest GPU that fits it."""

from typing import Any

import numpy as np

from scripts.hardware import fit, sizes
from scripts.metrics import memory_parts as parts
from scripts.metrics import model_facts
from scripts.metrics.runs import Run

TOLERANCE = 0.05


def total(values: list[float | None]) -> float | None:
    """Return the sum of one value a device; None where one is missing."""
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
    """Return what the process on each device consists of at its peak, in bytes, averaged over runs.

    ``base_bytes``: what the process held before the model was loaded: libraries, on a GPU the context.
    ``weight_bytes``, ``kv_cache_bytes``: as measured from their tensors.
    ``graph_pool_bytes``: what CUDA graphs have reserved, used or not.
    ``activation_bytes``: the peak of other tensors; on a CPU all else that is given back after a request.
    ``allocator_bytes``: reserved beside the graphs' pools, and not used: rounding and fragments.
    ``outside_bytes``: what the process took since then beside all that: on a CPU libraries' pages that were first
    touched later, on a GPU kernels loaded later and buffers of communication.
    ``stale_file_bytes``: pages of a mapped checkpoint that no weight lies in; the kernel takes them back when it must.
    ``rest_bytes``: what is left of ``process_bytes``, below zero where the parts hold more: on a CPU mostly Python's
    own objects. None where a reading is missing.
    """
    counts = {len(run.info["memory"].get("devices") or []) for run in runs}
    return [_device_anatomy(runs, index) for index in range(min(counts))]


def _device_anatomy(runs: list[Run], index: int) -> dict[str, Any]:
    on_gpu = runs[0].info["memory"].get("method") == "cuda_allocator"
    readings = [run.info["memory"]["devices"][index] for run in runs]

    def mean(key: str) -> float | None:
        values = [reading.get(key) for reading in readings]
        return None if None in values else float(np.mean(values))

    row = {
        "device": readings[0].get("device"),
        "rank": readings[0].get("rank"),
        "weight_bytes": mean("weight_bytes"),
        "kv_cache_bytes": mean("kv_cache_bytes"),
        "load_peak_bytes": mean("load_peak_bytes"),
        "peak_bytes": mean("peak_bytes"),
        "process_bytes": mean("process_peak_bytes"),
        "device_total_bytes": readings[0].get("device_total_bytes"),
    }
    return row | (parts.on_gpu(mean) if on_gpu else parts.on_cpu(mean))


def _measured_weights(run: Run) -> float | None:
    return total([device.get("weight_bytes") for device in run.info["memory"].get("devices") or []])


def computed_weights(run: Run, facts: model_facts.ModelFacts) -> int:
    """Bytes by arithmetic; on some processors bitsandbytes repacks 4-bit weights at first use."""
    computed = [
        sizes.weight_bytes(facts.architecture, facts.costs, facts.dtype, facts.draft, repacked=repacked)
        for repacked in (False, True)
    ]
    # Whichever is nearer to what was measured is meant; the layout is not recorded.
    measured = _measured_weights(run)
    return computed[0] if measured is None else min(computed, key=lambda size: abs(size - measured))


def computed_cache(run: Run, facts: model_facts.ModelFacts) -> int | None:
    """Bytes of the cache by arithmetic, for as many positions as it had; None where that was not read."""
    length = positions(run)
    if length is None:
        return None
    plain = [device.get("kv_cache_plain_positions") or 0 for device in run.info["memory"].get("devices") or []]
    return sizes.kv_cache_bytes(facts.architecture, facts.costs, facts.dtype, length, max(plain, default=0))


def positions(run: Run) -> int | None:
    """Token positions times sequences in the cache; ranks hold heads or layers of the same positions."""
    found = [device.get("kv_cache_positions") for device in run.info["memory"].get("devices") or []]
    return None if not found or None in found else max(found)


def check(runs: list[Run]) -> dict[str, Any]:
    """Compare the first run's measured weights and cache with the bytes computed from the model's shape.

    Returns:
        ``weights_ratio`` and ``kv_cache_ratio`` (measured / computed; None where one is unknown or both are zero) and
        ``agrees``: whether each known ratio is within 5% of 1; None where none is known. ``unexplained_share`` of the
        process (:func:`unexplained`), whose bound is 5% too.
    """
    return {"unexplained_share": unexplained(runs)} | _against_shape(runs[0])


def _against_shape(run: Run) -> dict[str, Any]:
    try:
        facts = model_facts.of_run(run)
    except model_facts.Unknown:
        return {"weights_ratio": None, "kv_cache_ratio": None, "agrees": None}
    held = run.info["memory"].get("devices") or []
    weights = _measured_weights(run)
    nearest = computed_weights(run, facts)
    cache, computed = total([device.get("kv_cache_bytes") for device in held]), computed_cache(run, facts)
    ratios = {"weights_ratio": _ratio(weights, nearest), "kv_cache_ratio": _ratio(cache, computed)}
    known = [ratio for ratio in ratios.values() if ratio is not None]
    agrees = all(abs(ratio - 1) <= TOLERANCE for ratio in known) if known else None
    # A cache where there should be none has no ratio.
    return ratios | {"agrees": agrees and not (cache and computed == 0)}


def _ratio(measured: float | None, computed: float | None) -> float | None:
    return measured / computed if measured is not None and computed else None


def unexplained(runs: list[Run]) -> float | None:
    """Return the share of the process that its parts leave open, of the device where it is largest.

    Of several processes what was taken outside the allocator is communication; of a single one nothing explains it on
    a GPU. None where a reading is missing.
    """
    rows = anatomy(runs)
    alone = len(rows) == 1 and runs[0].info["memory"].get("method") == "cuda_allocator"
    shares = [
        abs((row["rest_bytes"] + (row["outside_bytes"] or 0) * alone) / row["process_bytes"])
        for row in rows
        if row["rest_bytes"] is not None and row["process_bytes"]
    ]
    return max(shares, default=None)


def is_server(run: Run) -> bool:
    """Whether the run asked a server, whose memory is told as a whole."""
    return "note" in run.info["memory"]


def needed(run: Run) -> float | None:
    """Bytes that the fullest device of the run needed."""
    on_gpu = run.info["memory"].get("method") == "cuda_allocator"
    if is_server(run):
        return None  # what it reserves ahead depends on the GPU that it has
    needs = [
        None
        if row["peak_bytes"] is None
        else fit.needed_bytes(row["peak_bytes"], row["process_bytes"] if on_gpu else None)
        for row in anatomy([run])
    ]
    return None if not needs or None in needs else max(needs)


def needed_note(run: Run) -> str:
    """Say what is in the bytes that a GPU must have."""
    estimated = f"{fit.CONTEXT_BYTES / 1e9:g} GB for a CUDA context"
    if run.info["memory"].get("method") != "cuda_allocator":
        return f"what the technique added on a processor, as an estimate, and {estimated}"
    if any(row["process_bytes"] is None for row in anatomy([run])):
        return f"what the allocator reserved, and {estimated}"
    return "the whole process as NVML saw it, with its context and all that graphs and communication hold"


def smallest_gpu(runs: list[Run]) -> dict[str, Any] | None:
    """Return the GPU of the data-sheet table with the least memory that every device of the technique would fit on.

    Returns:
        ``name`` (None where none is large enough), ``memory_bytes``, ``devices`` (how many of them), ``needed_bytes``
        of each and ``note``; None where memory was not read.
    """
    needs = [needed(run) for run in runs]
    if None in needs:
        return None
    most = max(needs)
    gpu = fit.smallest(most)
    return {
        "name": gpu.label if gpu else None,
        "memory_bytes": gpu.memory_bytes if gpu else None,
        "devices": len(anatomy(runs)),
        "needed_bytes": most,
        "note": f"{needed_note(runs[0])}; {fit.HEADROOM:.0%} of the GPU left free",
    }


def _has(run: Run, index: int) -> bool:
    return len(run.info["memory"].get("devices") or []) > index
