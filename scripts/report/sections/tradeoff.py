"""The trade-off picture: the drawings that stand for it without scripts and in print, and what they leave out."""

from typing import Any

from scripts.report import axes, numbers, picture, rows
from scripts.report.section import Section


def tradeoff(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return the drawings by name, each with its Pareto front in words, the axes to choose from, and who is in none."""
    return {
        "drawings": [
            {"name": name, "sentence": picture.front_sentence(picture.plot_of(comparison, key))}
            for name, key in picture.FILES.items()
        ],
        "across": axes.options(axes.ACROSS, comparison),
        "up": axes.options(axes.UP, comparison),
        "log_from": axes.LOG_FROM,
        "crowded_from": axes.CROWDED_FROM,
        "crowded": axes.CROWDED,
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
