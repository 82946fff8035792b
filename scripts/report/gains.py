"""What a technique gives and costs against the baseline, in the few words that the answer has room for."""

from dataclasses import dataclass
from typing import Any

from scripts.comparison import uses
from scripts.report import numbers, rows, words

TEXT = {"kept": "quality kept", "undecided": "quality undecided", "not kept": "quality not kept"}


@dataclass(frozen=True)
class Gains:
    """A technique against the baseline.

    Attributes:
        name, label: of the technique.
        reference: whether it is the baseline itself, which gains and costs nothing.
        faster: how many times as fast it is in words, e.g. ``3.1x faster``; empty where that can't be had.
        rate: its samples a second over the baseline's in words, e.g. ``8.1x``; empty where that can't be had.
        text: what became of the headlines, e.g. ``same headlines``; empty for the baseline.
        same: whether every token is the baseline's.
        memory: its peak memory over the baseline's; None where either was not measured.
        peak: its peak memory with its unit.
        latency: its mean latency over the baseline's; None where it can't be had.
        throughput: its samples a second over the baseline's; None where it can't be had.
        figure: the change of latency, as the comparison has it.
    """

    name: str
    label: str
    reference: bool
    faster: str
    rate: str
    text: str
    same: bool
    memory: float | None
    peak: str
    latency: float | None
    throughput: float | None
    figure: dict[str, Any]


def gains(technique: dict[str, Any], comparison: dict[str, Any]) -> Gains:
    """Return what a technique that ran gives and costs against the baseline."""
    baseline = comparison["answer"]["reference"]
    own = technique["name"] == baseline
    latency, throughput, memory = (
        1.0 if own else _ratio(technique, key)
        for key in ("latency_change_percent", "throughput_change_percent", "peak_memory_change_percent")
    )
    peak = technique["figures"]["peak_memory_bytes"]["value"]
    return Gains(
        name=technique["name"],
        label=technique["label"],
        reference=own,
        faster="" if own or not latency else speed(latency),
        rate="" if own or throughput is None else words.times(throughput),
        text="" if own else _text(technique, comparison),
        same=uses.same_text(technique, baseline),
        memory=memory,
        peak="not measured" if peak is None else words.amount(peak, numbers.BYTES),
        latency=latency,
        throughput=throughput,
        figure=words.change(technique, "latency_change_percent", "baseline"),
    )


def speed(latency: float) -> str:
    """Return a ratio of latencies as how many times faster, or what part as fast."""
    return f"{words.times(1 / latency)} {'faster' if latency < 1 else 'as fast'}"


def interval(gains_: Gains) -> str:
    """Return the interval of how many times faster a technique is, e.g. ``2.9 to 3.3x``; else empty."""
    low, high = gains_.figure.get("ratio_low"), gains_.figure.get("ratio_high")
    if not low or not high:
        return ""
    ends = (words.times(1 / high), words.times(1 / low))
    return f"{ends[0].removesuffix(numbers.TIMES)} to {ends[1]}"


def _text(technique: dict[str, Any], comparison: dict[str, Any]) -> str:
    baseline = comparison["answer"]["reference"]
    if uses.same_text(technique, baseline):
        return "same headlines" if comparison["answer"]["quality_measured"] else "same tokens"
    verdict = technique["changes"]["baseline"]["quality_kept"]["verdict"]
    if verdict in TEXT:
        return TEXT[verdict]
    by_design = uses.lossless(technique, rows.by_name(comparison), baseline)
    return "lossless by design" if by_design else "quality not measured"


def _ratio(technique: dict[str, Any], key: str) -> float | None:
    value = words.change(technique, key, "baseline").get("value")
    return None if value is None else 1 + value / 100
