"""Limits of scenarios: each technique's values, and which limits it fails."""

from dataclasses import asdict, dataclass
from typing import Any

from scripts.comparison.columns import NATURAL, Columns
from scripts.comparison.two_levels import percent_figure, ratio
from scripts.hardware import datasheet, fit
from scripts.metrics import figures

GIGABYTE = 1e9
FITS, KEPT, SHOWN = "fits_gpu", "min_quality_kept_percent", "shown"
CAPACITY = "min_capacity_per_s"


@dataclass(frozen=True)
class Limit:
    """One limit of a scenario or a reader: its key, the value of a technique that it bounds, and from which side."""

    key: str
    value: str
    most: bool = True


# In the order in which what a technique fails is told. The page reads them from comparison.json: they stand here only.
LIMITS = (
    Limit("max_p99_latency_s", "p99_latency_s"),
    Limit("min_throughput_samples_per_s", "throughput_samples_per_s", most=False),
    Limit(CAPACITY, "capacity_per_s", most=False),
    Limit("max_peak_memory_gb", "peak_memory_gb"),
    Limit("max_peak_memory_ratio", "peak_memory_ratio"),
    Limit(KEPT, "quality_kept_percent", most=False),
    Limit("max_cost_per_million", "cost_per_million"),
    Limit("max_devices", "devices"),
    Limit("min_devices", "devices", most=False),
    Limit("max_batch_size", "batch_size"),
    Limit(FITS, "needed_bytes_per_device"),
)
BOUNDED = {limit.key: limit.value for limit in LIMITS}
AT_LEAST = {limit.key: limit.value for limit in LIMITS if not limit.most}


def table() -> list[dict[str, Any]]:
    """Return every limit with its ``key``, the ``value`` that it bounds, and whether it is the ``most`` allowed."""
    return [asdict(limit) for limit in LIMITS]


def limit_values(row: dict[str, Any], reference: dict[str, Any], columns: Columns) -> dict[str, float | None]:
    """Return the values that limits bound; None where not measured.

    Args:
        row: a technique of the comparison; one without figures still has a number of devices and a batch size.
        reference: the one that memory and quality are compared with.
        columns: of all techniques that ran.
    """
    settings = row["settings"] or {}
    memory, memory_there = (figures.value_of(each, "peak_memory_bytes") for each in (row, reference))
    kept, low = _quality_kept(row, reference, columns)
    parallel = settings.get("parallel") or {}
    return {
        "p99_latency_s": figures.value_of(row, "latency_p99_s"),
        "throughput_samples_per_s": figures.value_of(row, "throughput_samples_per_s"),
        "capacity_per_s": figures.value_of(row, "capacity_per_s"),
        "peak_memory_gb": None if memory is None else memory / GIGABYTE,
        "peak_memory_ratio": memory / memory_there if memory is not None and memory_there else None,
        "needed_bytes_per_device": figures.value_of(row, "needed_bytes_per_device"),
        "quality_kept_percent": kept,
        "quality_kept_low_percent": low,
        # A run that failed early may not have started them all.
        "devices": max(row["processes"] or 1, parallel.get("tensor", 1) * parallel.get("pipeline", 1)),
        "cost_per_million": row["cost_per_million"]["value"],
        "batch_size": row["batch_size"] or settings.get("batch_size") or 1,
    }


def failing(values: dict[str, float | None], limits: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the limits that a technique does not meet, each with its value (None: not measured) and the bound."""
    found = []
    for limit in BOUNDED:
        bound = limits.get(limit)
        if bound is not None and not meets(limit, value := value_of(limit, values, limits), bound):
            found.append({"limit": limit, "value": value, "bound": bound})
    return found


def value_of(limit: str, values: dict[str, float | None], limits: dict[str, Any]) -> float | None:
    """Return the value that a limit bounds; of quality the lower end of its interval where it is to be shown."""
    shown = limit == KEPT and limits.get("quality") == SHOWN
    return values["quality_kept_low_percent" if shown else BOUNDED[limit]]


def meets(limit: str, value: float | None, bound: Any) -> bool:
    """Whether a value meets a bound; one that was not measured meets none."""
    if value is None:
        return False
    if limit == FITS:
        return value <= usable_bytes(bound)
    return value >= bound if limit in AT_LEAST else value <= bound


def usable_bytes(gpu: str) -> float:
    """Return what a GPU of the table has for a technique, headroom left out."""
    return next(device.memory_bytes for device in datasheet.devices() if device.label == gpu) * (1 - fit.HEADROOM)


def loosened(limit: str, value: float) -> Any:
    """Return the tightest bound that a value meets, or None where there is none: of a GPU the name of the smallest."""
    if limit != FITS:
        return value
    smallest = fit.smallest(value)
    return smallest.label if smallest else None


def _quality_kept(
    row: dict[str, Any], reference: dict[str, Any], columns: Columns
) -> tuple[float | None, float | None]:
    """Return the share of the reference's quality in percent, and the lower end of its interval."""
    names = [row["name"], reference["name"]]
    if not all(columns.has(name, NATURAL, "rougeL") for name in names):
        return None, None
    if names[0] == names[1]:
        return 100.0, 100.0
    mine, other = (columns.quantity(name, "rougeL") for name in names)
    kept = percent_figure(ratio([mine], [other]), offset=0.0)
    return kept["value"], kept["low"]
