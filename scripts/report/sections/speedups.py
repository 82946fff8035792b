"""How many times as fast each technique is, as bars: single requests, and samples a second."""

from typing import Any

from scripts.comparison import uses
from scripts.report import gains, numbers, rows, words
from scripts.report.section import Section

TONES = {"kept": "kept", "undecided": "open", "not kept": "lost"}
SIDES = (("latency_change_percent", True), ("throughput_change_percent", False))
TITLES = ("Single request: times as fast", "Samples/s: times as many")


def speedups(comparison: dict[str, Any]) -> dict[str, Any] | None:
    """Return a row of two bars a technique, the fastest first; None without a baseline to be compared with.

    Returns:
        ``rows`` with ``label``, ``tone`` by quality, and per side (``bars``) its ``text``, ``interval`` and places in
        percent of the side's width; ``sides``: their titles; ``kinds``: the tones that occur.
    """
    baseline = comparison["answer"]["reference"]
    shown = [each for each in rows.ran(comparison["techniques"]) if each["name"] == baseline or _known(each)]
    if baseline is None or len(shown) < 2:
        return None
    values = {each["name"]: [_ends(each, key, inverse, baseline) for key, inverse in SIDES] for each in shown}
    tops = [max(ends[2] for found in values.values() if (ends := found[side])) for side in range(len(SIDES))]
    ordered = sorted(shown, key=lambda each: -(values[each["name"]][0] or (0, 0, 0))[1])
    found = [
        {
            "name": each["name"],
            "label": each["label"],
            "baseline": each["name"] == baseline,
            "tone": _tone(each, baseline),
            "quality": gains.gains(each, comparison).text or "reference",
            "bars": [_bar(ends, top) for ends, top in zip(values[each["name"]], tops, strict=True)],
        }
        for each in ordered
    ]
    return {
        "rows": found,
        "sides": TITLES,
        "kinds": sorted({row["tone"] for row in found}),
        "baseline": rows.labels(comparison)[baseline],
        "left_out": [
            {"label": each["label"], "status": rows.STATUS.get(each["status"], each["status"])}
            for each in comparison["techniques"]
            if each not in shown
        ],
    }


def _known(technique: dict[str, Any]) -> bool:
    return words.change(technique, SIDES[0][0], "baseline").get("value") is not None


def _tone(technique: dict[str, Any], baseline: str) -> str:
    if technique["name"] == baseline:
        return "reference"
    if uses.same_text(technique, baseline):
        return "kept"
    return TONES.get(technique["changes"]["baseline"]["quality_kept"]["verdict"] or "", "unmeasured")


def _ends(technique: dict[str, Any], key: str, inverse: bool, baseline: str) -> tuple[float, float, float] | None:
    """Return low, value and high of how many times as fast a technique is."""
    if technique["name"] == baseline:
        return 1.0, 1.0, 1.0
    figure = words.change(technique, key, "baseline")
    value = figure.get("value")
    if value is None or value <= -100:
        return None
    value = 1 + value / 100
    low, high = (figure.get(end) or value for end in ("ratio_low", "ratio_high"))
    return (1 / high, 1 / value, 1 / low) if inverse else (low, value, high)


def _bar(ends: tuple[float, float, float] | None, top: float) -> dict[str, Any] | None:
    if ends is None:
        return None
    low, value, high = ends
    texts = numbers.ratio_texts(value, low, high)
    return {
        "text": words.times(value),
        "interval": texts[1] if low != high else "",
        "value": _share(value, top),
        "low": _share(low, top),
        "span": round(_share(high, top) - _share(low, top), 2),
    }


def _share(value: float, top: float) -> float:
    return round(100 * value / top, 2)


SECTION = Section("speedups", "How much faster", 12, speedups, within="decision", folded=False)
