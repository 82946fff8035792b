"""Price of serving, and the speed-up predicted by the roofline."""

from typing import Any

from scripts.metrics import figures
from scripts.metrics.entry import Entry, Place
from scripts.metrics.figures import Figure

PRICE = Entry(
    "price_per_1000", "", "Price of 1,000",
    "The study's price of a device hour over the throughput, times the devices.",
    csv="price_per_1000", table=Place("Cost and machine", 2),
)  # fmt: skip


def price_per_1000(content: dict[str, Any], settings: dict[str, Any], on_gpus: bool) -> Figure:
    """Return what 1,000 samples cost at the technique's throughput.

    Args:
        content: metrics of a technique.
        settings: ``price_per_device_hour`` (None where the study sets none) and ``currency``.
        on_gpus: whether each process has a GPU of its own; else all of them share the machine, which is the device.
    """
    unit = settings.get("currency") or "USD"
    price, throughput = settings.get("price_per_device_hour"), content["figures"]["throughput_samples_per_s"]
    if price is None:
        return figures.missing(unit, "the study sets no price of a device hour")
    if not throughput["value"]:
        return figures.missing(unit, throughput["note"] or "no throughput was measured")
    devices = (content.get("processes") or 1) if on_gpus else 1
    thousand = 1000 * price * devices / 3600  # over samples/s
    bounds = tuple(None if not throughput[end] else thousand / throughput[end] for end in ("high", "low"))
    return figures.figure(
        thousand / throughput["value"], unit, throughput["n"], bounds, throughput["interval"], devices=devices
    )


def predicted_speedup(content: dict[str, Any], parent: dict[str, Any] | None, reason: str | None) -> Figure:
    """Return the parent's predicted time per sample over the technique's own."""
    if parent is None or reason:
        return figures.missing("1", reason or "it has no parent")
    ours, theirs = (entry["figures"].get("predicted_time_per_sample_s") or {} for entry in (content, parent))
    if not ours.get("value") or not theirs.get("value"):
        return figures.missing("1", "no time is predicted for one of the two")
    note = "from bytes and operations, not measured"
    return figures.figure(theirs["value"] / ours["value"], "1", min(ours["n"], theirs["n"]), note=note)
