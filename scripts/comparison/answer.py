"""What the study answers: the fastest technique, the fastest that keeps quality, the one with the smallest memory."""

from typing import Any

QUALITY = "quality_kept_percent_rougeL"


def answer(techniques: list[dict[str, Any]], baseline: str | None) -> dict[str, Any]:
    """Pick the techniques that a reader asks for first.

    Args:
        techniques: the techniques of the comparison, in report order.
        baseline: name of the baseline when it ran, else None.

    Returns:
        ``reference``: the baseline's name or None. ``ran``: how many techniques have figures. ``fastest``: lowest mean
        latency. ``fastest_kept``: the same among those whose quality is shown to be kept against the baseline, which
        includes the baseline itself. ``smallest``: lowest peak memory. Each is a name or None.
    """
    ran = [technique for technique in techniques if technique["status"] == "ok"]
    kept = [technique for technique in ran if technique["name"] == baseline or _gate(technique) == "kept"]
    measured = any(technique["quality_measured"] for technique in ran)
    return {
        "reference": baseline,
        "ran": len(ran),
        "quality_measured": measured,
        "fastest": _lowest(ran, "latency_s"),
        "fastest_kept": _lowest(kept, "latency_s") if measured and baseline else None,
        "smallest": _lowest(ran, "peak_memory_bytes"),
    }


def _gate(technique: dict[str, Any]) -> str | None:
    changes = technique["changes"]["baseline"]["figures"]
    return changes[QUALITY]["gate"] if changes else None


def _lowest(techniques: list[dict[str, Any]], key: str) -> str | None:
    """Return the name with the lowest value; the first in report order among equals."""
    known = [technique for technique in techniques if technique["figures"][key]["value"] is not None]
    best = min(known, key=lambda technique: technique["figures"][key]["value"], default=None)
    return best["name"] if best else None
