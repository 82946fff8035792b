"""Memory of a run, summed over its devices: measured, and computed from the model's shape."""

import math

from scripts.foundation.errors import StudyError
from scripts.metrics import figures, memory, model_facts
from scripts.metrics.entry import READING, Change, Entry, Place, Term
from scripts.metrics.figures import Figure
from scripts.metrics.recorded import Recorded
from scripts.metrics.runs import Run

ORDER = 30
ADDED = Term(
    "Memory",
    "What a technique adds, at its peak while generating, to the state of its process before the model was loaded: "
    "weights, cache, workspace. Summed over all devices, in a process of its own; 1 MB is 1,000,000 bytes. On a GPU it "
    "is what the allocator has reserved, the pools of CUDA graphs included; on a CPU resident pages. Libraries are in "
    "the whole process, which is told apart. It is one reading a run, so it has no interval.",
)
ANATOMY = Term(
    "Memory anatomy",
    "What the whole process consists of at its peak: held before loading, weights and KV cache as measured from their "
    "tensors, activations and workspace, on a GPU the pools of CUDA graphs and what the allocator rounds up or keeps, "
    "libraries and buffers that came later, and the rest. The computed sizes come from the model's shape and settings "
    "alone.",
)
SMALLEST = Term(
    "Smallest GPU",
    "The one with the least memory in the table of data sheets on which the whole process fits as it was measured on a "
    "GPU, with some memory left free; from a CPU it is an estimate.",
)


def _change(key: str, label: str = "", csv: bool = True) -> Change:
    return Change(f"{key}_change_percent", READING, csv=csv, label=label)


# Figure -> what run.json calls it, summed over devices and of one device.
SUMS = {"peak_memory_bytes": "peak_bytes", "load_peak_memory_bytes": "load_peak_bytes", "weight_bytes": "weight_bytes"}
# Figure -> part of a device's anatomy.
PARTS = {
    "process_memory_bytes": "process_bytes",
    "base_memory_bytes": "base_bytes",
    "kv_cache_bytes": "kv_cache_bytes",
    "activation_bytes": "activation_bytes",
    "graph_pool_bytes": "graph_pool_bytes",
    "allocator_bytes": "allocator_bytes",
    "outside_bytes": "outside_bytes",
    "stale_file_bytes": "stale_file_bytes",
    "rest_bytes": "rest_bytes",
}
WEIGHTS, CACHE, NEEDED = "analytic_weight_bytes", "analytic_kv_cache_bytes", "needed_bytes_per_device"
FIGURES = (
    Entry("peak_memory_bytes", "B", "Peak memory", ADDED, "low", study="peak_memory", csv="peak_memory_mb",
          table=Place("Memory", 1, main=True), criterion="memory", change=_change("peak_memory", "Memory ratio")),
    Entry("load_peak_memory_bytes", "B", "Added while loading", ADDED, csv="load_peak_memory_mb",
          table=Place("Memory", 3), change=_change("load_peak_memory", csv=False)),
    Entry("process_memory_bytes", "B", "Whole process", ANATOMY, csv="process_memory_mb", table=Place("Memory", 2)),
    Entry("weight_bytes", "B", "Weights", ANATOMY, csv="weights_mb", table=Place("Memory", 4),
          change=_change("weight")),
    Entry("base_memory_bytes", "B", "Before loading", ANATOMY),
    Entry("kv_cache_bytes", "B", "KV cache", ANATOMY),
    Entry("activation_bytes", "B", "Activations and workspace", ANATOMY),
    Entry("graph_pool_bytes", "B", "Pools of CUDA graphs", ANATOMY),
    Entry("allocator_bytes", "B", "Allocator's rounding, unused", ANATOMY),
    Entry("outside_bytes", "B", "Libraries and buffers later", ANATOMY),
    Entry("stale_file_bytes", "B", "Checkpoint pages no longer used", ANATOMY),
    Entry("rest_bytes", "B", "Rest", ANATOMY),
    Entry(WEIGHTS, "B", "Weights, computed", ANATOMY),
    Entry(CACHE, "B", "KV cache, computed", ANATOMY),
    Entry(NEEDED, "B", "Needed on each device", SMALLEST, "low"),
)  # fmt: skip
NOT_READ = "not read on this machine"
NOT_APART = "a server's memory is not told apart"
NOT_RESET = "the peak could not be reset here, so it is that of the whole process"


def compute(recorded: Recorded) -> dict[str, Figure]:
    """Return every memory figure in bytes, averaged over runs.

    Raises:
        StudyError: a sum in run.json is not the sum of its devices, or is no number.
    """
    runs = recorded.runs
    inexact = any(run.info["memory"].get("peak_is_exact") is False for run in runs)
    served = memory.is_server(runs[0])
    result = {}
    for key, part in SUMS.items():
        result[key] = _repeated([_checked_sum(run, key, part) for run in runs], NOT_APART if served else NOT_READ)
        if served:
            told = key != "weight_bytes"
            result[key]["note"] = runs[0].info["memory"]["note"] if told else NOT_APART
        elif inexact and key != "weight_bytes" and result[key]["value"] is not None:
            result[key]["note"] = NOT_RESET
    for key, part in PARTS.items():
        result[key] = _repeated([memory.total([row[part] for row in memory.anatomy([run])]) for run in runs])
        if served:
            result[key] = figures.missing("B", NOT_APART) if key != "process_memory_bytes" else result[key]
        elif inexact and key in ("activation_bytes", "process_memory_bytes") and result[key]["value"] is not None:
            result[key]["note"] = NOT_RESET
    needed = _repeated([memory.needed(run) for run in runs])
    if needed["value"] is not None:
        needed["note"] = f"of the fullest device: {memory.needed_note(runs[0])}"
    return result | _analytic_figures(runs[0]) | {NEEDED: needed}


def _repeated(values: list[float | None], missing: str = NOT_READ) -> Figure:
    return figures.missing("B", missing) if None in values else figures.repeated_figure(values, "B")


def _analytic_figures(run: Run) -> dict[str, Figure]:
    """Weights and cache by arithmetic; the cache for as many positions as the measured one had."""
    try:
        facts = model_facts.of_run(run)
    except model_facts.Unknown as reason:
        return {key: figures.missing("B", str(reason)) for key in (WEIGHTS, CACHE)}
    weights = figures.figure(float(memory.computed_weights(run, facts)), "B", 1, note="computed from the model's shape")
    cache = memory.computed_cache(run, facts)
    if cache is None:
        return {WEIGHTS: weights, CACHE: figures.missing("B", "the cache's length was not read")}
    note = f"computed from the model's shape, for {memory.positions(run):,} positions" if cache else "no cache"
    return {WEIGHTS: weights, CACHE: figures.figure(float(cache), "B", 1, note=note)}


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
