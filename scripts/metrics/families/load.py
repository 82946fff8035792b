"""Load tests: how many requests a second a server takes until the slowest no longer keep the limits.

A run's requests wait for each other and are not independent, so intervals are over runs: of the logarithms of their
rates by Student's t, as a capacity can't be negative and runs differ by factors. The lower end rests on the rates that
kept the limits, the upper one on those that broke them, so that no interval is narrower than what the searches left
open.
"""

import math

import numpy as np

from scripts.metrics import figures, resampling, spread
from scripts.metrics.entry import Entry, Place, Term, missing
from scripts.metrics.figures import Figure
from scripts.metrics.recorded import Recorded

ORDER = 25
CAPACITY, GOODPUT, MEMORY = "capacity_per_s", "goodput_per_s", "memory_under_load_bytes"
LOAD = Term(
    "Capacity, goodput",
    "Capacity: the highest rate of arriving requests at which the percentile that the study names keeps its limits (in "
    "MLPerf's terms the Server scenario), found by search in each run; the geometric mean of the runs, with an "
    "interval over them. Goodput: answers a second that keep all limits; here the most at any rate that was tried.",
)
UNDER_LOAD = Term(
    "Memory under load",
    "All that a server's processes hold at the peak of a load run, libraries and what is reserved ahead included: on a "
    "CPU the proportional set size of its processes, on GPUs what NVML says. It is read about every two "
    "seconds; one reading a run, so it has no interval. Its other memory figures are of requests one batch at a time.",
)
FIGURES = (
    Entry(CAPACITY, "requests/s", "Requests/s within limits", LOAD, "high", shown="plain",
          csv="capacity_requests_per_s", bounds=True, spread=True, table=Place("Throughput", 0),
          criterion="capacity"),
    Entry(GOODPUT, "requests/s", "Goodput", LOAD, "high", shown="plain", csv="goodput_requests_per_s",
          table=Place("Throughput")),
    Entry(MEMORY, "B", "Memory under load", UNDER_LOAD, "low", csv="memory_under_load_mb", table=Place("Memory", 8)),
)  # fmt: skip
ESTIMATE = "estimate"
"""Purpose of the closed loops before a search, which are no load that is studied."""
NOT_ASKED = "not tested under load"
NOT_SEARCHED = "no rate was searched for"


def compute(recorded: Recorded) -> dict[str, Figure]:
    """Return capacity and the best goodput of the load runs."""
    loads = recorded.loads
    if not loads:
        return missing(FIGURES, NOT_ASKED)
    failed = next((load for load in loads if load["status"] != "ok"), None)
    if failed:
        return missing(FIGURES, f"run {failed['run']} under load: {failed['reason'] or failed['status']}")
    rates = [[level for level in load["levels"] if level.get("purpose") != ESTIMATE] for load in loads]
    best = [max((level.get("goodput_per_s") or 0.0 for level in levels), default=0.0) for levels in rates]
    limited = any(value is not None for key, value in loads[0]["load"]["limits"].items() if key != "percentile")
    none = "no request kept the limits" if limited else "no limit is set"
    if not all(rates):
        none = "no rate could be tried"
    searched = [load["capacity"] for load in loads if load["capacity"]]
    return {
        CAPACITY: _capacity(searched) if len(searched) == len(loads) else figures.missing("requests/s", NOT_SEARCHED),
        GOODPUT: over_runs(best) if all(best) else figures.missing("requests/s", none),
        MEMORY: _memory(loads),
    }


def _memory(loads: list[dict]) -> Figure:
    """Return the mean over runs of the peak of all devices together."""
    devices = [(load["memory"] or {}).get("devices") or [] for load in loads]
    peaks = [[device.get("peak_bytes") for device in each] for each in devices]
    if any(not each or None in each for each in peaks):
        note = next(
            (load["memory"]["note"] for load in loads if (load["memory"] or {}).get("method", "") is None), None
        )
        return figures.missing("B", note or "not read on this machine")
    return figures.repeated_figure([float(sum(each)) for each in peaks], "B")


def _capacity(searched: list[dict]) -> Figure:
    unkept = next((found for found in searched if found.get("per_s") is None), None)
    if unkept is not None:
        return figures.missing("requests/s", unkept.get("note") or "no rate kept the limits")
    keeps, breaks = ([each.get(end) for each in searched] for end in ("keeps_at", "breaks_at"))
    found = over_runs([each["per_s"] for each in searched])
    if found["low"] is not None:
        # The edge lies between the two rates of each run; with one that broke at none, it may lie anywhere above.
        found["high"] = None if None in breaks else over_runs(breaks)["high"]
    found["note"] = "; ".join(filter(None, (*_notes(searched), found["note"]))) or None
    return found | {"bracket": list(map(list, zip(keeps, breaks, strict=True)))}


def _notes(searched: list[dict]) -> list[str]:
    """Return what the runs' searches note: what several say once, with the number of runs, and each one's reason."""
    reasons: dict[str, list[str]] = {}
    for each in searched:
        for part in filter(None, (each.get("note") or "").rstrip(".").split("; ")):
            said, _, reason = part.partition(": ")
            reasons.setdefault(said, []).append(reason)
    told = []
    for said, whys in reasons.items():
        where = f" in {len(whys)} of {len(searched)} runs" if len(searched) > 1 else ""
        why = ", ".join(dict.fromkeys(filter(None, whys)))
        told.append(f"{said}{where}: {why}" if why else said + where)
    return told


def over_runs(rates: list[float]) -> Figure:
    """Return the geometric mean of one rate a run, with a t-interval over the runs; none with one run."""
    logs = np.log(rates)
    mean = float(np.exp(logs.mean()))
    extra = {"runs": [float(rate) for rate in rates], "between_run_percent": spread.relative_deviation_percent(rates)}
    if len(rates) < 2:
        return figures.figure(mean, "requests/s", 1, note=figures.ONE_READING, **extra)
    from scipy import stats  # late: it takes a second

    reach = float(stats.t.ppf((1 + resampling.LEVEL) / 2, len(rates) - 1) * logs.std(ddof=1) / math.sqrt(len(rates)))
    bounds = (mean * math.exp(-reach), mean * math.exp(reach))
    return figures.figure(mean, "requests/s", len(rates), bounds, interval="t over runs", **extra)
