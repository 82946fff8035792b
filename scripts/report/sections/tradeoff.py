"""The trade-off picture: the drawings that stand for it without scripts and in print, and what they leave out."""

from typing import Any

from scripts.report import limits, numbers, picture, rows
from scripts.report.section import Section

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
        "method": _method(comparison),
    }


def _method(comparison: dict[str, Any]) -> str:
    """Return how a front is made here: what is drawn, and what is tested."""
    known = comparison["fronts"]
    draws = (comparison["ranking"] or {}).get("draws") or 0
    firm, possible = (f"{numbers.fixed(100 * known[key], 0)}%" for key in ("firm", "possible"))
    drawn = (
        f"On the front: in {firm} or more of {draws:,} draws of prompts and runs; possibly on "
        f"it (ringed, with its chance): in {possible} or more. Latency and throughput are "
        "drawn, other figures stand as measured"
        if draws
        else "By the measured values: too few prompts to draw others"
    )
    tested = "; quality counts as better only where a test over all pairs shows it" if known["above"] else ""
    return f"{drawn}{tested}."


def front_sentence(plot: picture.Plot) -> str:
    """Return a plot's Pareto front in words, from the lowest x on: who is on it, and who may be with which chance."""
    if not plot.points:
        return plot.empty
    sure, perhaps = (
        sorted((plot.points[index] for index in found(plot.points)), key=lambda point: point.x)
        for found in (picture.front, picture.possible)
    )
    positive = [point.x for point in [*sure, *perhaps] if point.x > 0]
    digits = max((numbers.digits_after_point(x, 3) for x in positive), default=0)

    def told(point: picture.Point, more: str = "") -> str:
        return f"{point.label} ({numbers.fixed(point.x, digits)}; {point.y:.3g}{more})"

    axes = f"{plot.x_label.split(' (')[0]}; {plot.y_label.split(' (')[0]}"
    said = f"On the Pareto front ({axes}): {', '.join(map(told, sure)) or 'none for certain'}."
    if perhaps:
        chances = [told(point, f"; chance {limits.chance(point.chance)}") for point in perhaps]
        said += f" Possibly on it: {', '.join(chances)}."
    return said


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


SECTION = Section("tradeoff", "Trade-off", 30, tradeoff)
