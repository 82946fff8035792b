"""The trade-off picture: the drawings that stand for it without scripts and in print, and what they leave out."""

from typing import Any

from scripts.report import numbers, picture, rows

FILES = {
    "latency_quality": "latency_s",
    "memory_quality": "peak_memory_bytes",
    "throughput_quality": rows.PER_SAMPLE,
}


def tradeoff(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return the drawings by name, each with the Pareto front in words, and the techniques without a place in any."""
    return {
        "drawings": [
            {"name": name, "sentence": front_sentence(picture.plot_of(comparison, key))} for name, key in FILES.items()
        ],
        "left_out": _left_out(comparison),
    }


def front_sentence(plot: picture.Plot) -> str:
    """Return a plot's Pareto front in a sentence, from the lowest x on."""
    if not plot.points:
        return plot.empty
    best = sorted((plot.points[index] for index in picture.front(plot.points)), key=lambda point: point.x)
    digits = max(numbers.digits_after_point(point.x, 3) for point in best if point.x > 0) if best[-1].x > 0 else 0
    told = [f"{point.label} ({numbers.fixed(point.x, digits)}; {point.y:.3g})" for point in best]
    return f"On the Pareto front ({plot.x_label.split(' (')[0]}; {plot.y_label.split(' (')[0]}): {', '.join(told)}."


def _left_out(comparison: dict[str, Any]) -> list[dict[str, str]]:
    """Return the techniques that no drawing shows, each with the reason."""
    y_key = picture.quality_key(comparison)
    found = []
    for technique in comparison["techniques"]:
        reason = ""
        if technique["status"] != "ok":
            reason = rows.STATUS.get(technique["status"], technique["status"])
        elif technique["figures"][y_key]["value"] is None:
            reason = technique["figures"][y_key]["note"] or "quality not measured"
        if reason:
            found.append({"name": technique["name"], "label": technique["label"], "reason": reason})
    return found
