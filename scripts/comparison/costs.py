"""Price of serving, and the speed-up predicted by the roofline."""

from typing import Any

from scripts.metrics import figures
from scripts.metrics.entry import Entry, Place
from scripts.metrics.figures import Figure

HEADLINES = 1_000_000
CURRENCY = "USD"
COST = Entry(
    "cost_per_million", "", "Cost per million headlines",
    "The price of a device hour times the device hours of a million headlines at the technique's samples/s.",
    "low", csv="cost_per_million", table=Place("Cost and machine", 0),
)  # fmt: skip


def price(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the study's price: ``per_device_hour`` (None where it sets none) and ``currency``."""
    return {
        "per_device_hour": settings.get("price_per_device_hour"),
        "currency": settings.get("currency") or CURRENCY,
    }


def device_hours(content: dict[str, Any], on_gpus: bool) -> Figure:
    """Return the device hours that a million headlines take at the technique's throughput.

    Args:
        content: metrics of a technique.
        on_gpus: whether each process has a GPU of its own; else all of them share the machine, which is the device.
    """
    throughput = content["figures"]["throughput_samples_per_s"]
    if not throughput["value"]:
        return figures.missing("h", throughput["note"] or "no throughput was measured")
    devices = (content.get("processes") or 1) if on_gpus else 1
    hours = HEADLINES * devices / 3600  # over samples/s
    bounds = tuple(None if not throughput[end] else hours / throughput[end] for end in ("high", "low"))
    return figures.figure(
        hours / throughput["value"], "h", throughput["n"], bounds, throughput["interval"], devices=devices
    )


def cost_per_million(hours: Figure, set_price: dict[str, Any]) -> Figure:
    """Return what a million headlines cost.

    Args:
        hours: their :func:`device_hours`.
        set_price: as :func:`price` has it.
    """
    per_hour, unit = set_price["per_device_hour"], set_price["currency"]
    if per_hour is None:
        return figures.missing(unit, "no price of a device hour is set")
    if hours["value"] is None:
        return figures.missing(unit, hours["note"])
    value, low, high = (None if hours[end] is None else per_hour * hours[end] for end in ("value", "low", "high"))
    return figures.figure(value, unit, hours["n"], (low, high), hours["interval"], devices=hours["devices"])


def predicted_speedup(content: dict[str, Any], parent: dict[str, Any] | None, reason: str | None) -> Figure:
    """Return the parent's predicted time per sample over the technique's own."""
    if parent is None or reason:
        return figures.missing("1", reason or "it has no parent")
    ours, theirs = (entry["figures"].get("predicted_time_per_sample_s") or {} for entry in (content, parent))
    if not ours.get("value") or not theirs.get("value"):
        return figures.missing("1", "no time is predicted for one of the two")
    note = "from bytes and operations, not measured"
    return figures.figure(theirs["value"] / ours["value"], "1", min(ours["n"], theirs["n"]), note=note)
