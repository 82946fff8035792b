"""Cards: for each use the technique to take, with four figures of it."""

from typing import Any

from scripts.report import answer, columns, gains, numbers, results_columns, rows, words
from scripts.report.gains import Gains

TITLES = {
    "alone": "Single requests",
    "bulk": "Bulk work",
    "memory": "Least memory",
    "quality": "Best headlines",
}
SMALLER = 0.95
"""Memory has no test: a card for it stands only where it is less than this share of the baseline's."""


def cards(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a card for each use that has a technique of its own; equal techniques share one.

    Returns:
        Each has ``titles``, of what it is for, and the technique's ``name``, ``label``, ``figures`` and ``flags``.
    """
    if not comparison["uses"]:
        return []
    by_name = rows.by_name(comparison)
    found: dict[str, list[str]] = {}
    for use, name in _picked(comparison).items():
        found.setdefault(name, []).append(use)
    return [card(by_name[name], comparison) | {"titles": [TITLES[use] for use in uses]} for name, uses in found.items()]


def card(technique: dict[str, Any], comparison: dict[str, Any]) -> dict[str, Any]:
    """Return a technique's four figures, each as a factor over the baseline with the figure itself below."""
    it = gains.gains(technique, comparison)
    scales = columns.scales(results_columns.measured(), comparison["techniques"])
    return {
        "name": technique["name"],
        "label": technique["label"],
        "figures": [
            _speed(technique, it, scales),
            _rate(technique, it, scales),
            _memory(it),
            _quality(technique, it, scales),
        ],
        "flags": rows.flags(technique),
    }


def _picked(comparison: dict[str, Any]) -> dict[str, str]:
    uses, by_name = comparison["uses"], rows.by_name(comparison)
    one, bulk = answer.chosen(comparison)
    picked = {"alone": one.name}
    if bulk:
        picked["bulk"] = bulk.name
    smallest = next(iter(uses["memory"]), None)
    if smallest and (gains.gains(by_name[smallest], comparison).memory or 1.0) <= SMALLER:
        picked["memory"] = smallest
    if uses["quality"]:
        picked["quality"] = uses["quality"][0]
    return picked


def _factor(it: Gains, text: str) -> str:
    """Return what stands for a technique against the baseline, which has none, and where it can't be had."""
    return "reference" if it.reference else text or "not known"


def _speed(technique: dict[str, Any], it: Gains, scales: dict[str, Any]) -> dict[str, str]:
    value = technique["figures"]["latency_s"]["value"]
    own = "not measured" if value is None else f"{scales['latency_s'].show_with_unit(value)} a headline"
    low_high = gains.interval(it)
    verdict = it.figure.get("verdict") or ""
    tone = columns.tone(verdict)
    note = low_high if words.is_tested(it.figure) and verdict != words.NO_DIFFERENCE else verdict
    return {
        "title": "Speed-up",
        "text": _factor(it, words.times(1 / it.latency) if it.latency else ""),
        "tone": tone,
        "under": own,
        "note": note,
    }


def _rate(technique: dict[str, Any], it: Gains, scales: dict[str, Any]) -> dict[str, str]:
    value = technique["figures"]["throughput_samples_per_s"]["value"]
    own = "not measured" if value is None else f"{scales['throughput_samples_per_s'].show(value)} samples/s"
    change = words.change(technique, "throughput_change_percent", "baseline")
    return {
        "title": "Samples/s",
        "text": _factor(it, it.rate),
        "tone": columns.tone(change.get("verdict")),
        "under": own,
        "note": "",
    }


def _memory(it: Gains) -> dict[str, str]:
    text = _factor(it, "" if it.memory is None else words.times(it.memory))
    return {"title": "Peak memory", "text": text, "tone": "", "under": it.peak, "note": ""}


def _quality(technique: dict[str, Any], it: Gains, scales: dict[str, Any]) -> dict[str, str]:
    value = technique["figures"]["rougeL"]["value"]
    measured = technique["quality_measured"] and value is not None
    own = f"ROUGE-L {scales['rougeL'].show(value)}" if measured else "not measured"
    kept = words.change(technique, "quality_kept_percent_rougeL", "baseline")
    judged = columns.quality(technique["changes"]["baseline"])
    note = ""
    if measured and kept.get("value") is not None and not it.same:
        note = f"{numbers.fixed(kept['value'], 1)}% of the baseline's"
    return {
        "title": "Quality",
        "text": _factor(it, _first(it.text)),
        "tone": judged["tone"],
        "under": own,
        "note": note,
    }


def _first(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
