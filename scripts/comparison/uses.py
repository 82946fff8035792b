"""What each technique is for: the soonest answer to one request, the most requests a second, the least memory."""

from typing import Any

from scripts.comparison import answer, changes
from scripts.comparison.columns import Columns
from scripts.comparison.loading import Metrics

BETTER = "better"
THROUGHPUT = "throughput_change_percent"


def uses(
    techniques: list[dict[str, Any]], baseline: str | None, metrics: Metrics, columns: Columns
) -> dict[str, Any] | None:
    """Put the techniques that may be recommended in order, for each use.

    A technique may be recommended if its text is the baseline's, or its quality is shown to be kept against it. Where
    no quality was measured, as with random weights, only techniques that must give their parent's text and go back to
    the baseline in such steps may. The baseline itself always may.

    Args:
        techniques: those of the comparison, in report order, with their verdicts.
        baseline: the baseline's name when it ran, else None.
        metrics: per technique the content of its metrics file.
        columns: of all techniques that ran.

    Returns:
        None without a baseline. ``by``: ``quality`` or, where that was not measured, ``lossless``. Then names, best
        first: ``alone``, of the lowest mean latency on, requests handed over one by one; ``bulk``, of the most samples
        a second on; ``memory``, of the lowest peak on; ``quality``, those whose ROUGE-L is shown to be better than the
        baseline's, the best first. ``alone_ties`` and ``bulk_ties`` are those that are not shown to be behind the first
        of their list; None where nothing can be tested. Among tied ones the first writes the baseline's own text where
        one does, and else is the best by its mean.
    """
    if baseline is None:
        return None
    ran = [technique for technique in techniques if technique["status"] == "ok"]
    measured = any(technique["quality_measured"] for technique in ran)
    by_name = {technique["name"]: technique for technique in techniques}
    may = [each for each in ran if each["name"] == baseline or _may(each, by_name, baseline, measured)]
    alone, alone_ties = _timed([each for each in may if _one_by_one(each)], changes.LATENCY, metrics, columns, baseline)
    bulk, bulk_ties = _timed(may, THROUGHPUT, metrics, columns, baseline)
    better = [each for each in ran if _change(each, "quality_kept_percent_rougeL").get("verdict") == BETTER]
    return {
        "by": "quality" if measured else "lossless",
        "alone": alone,
        "alone_ties": alone_ties,
        "bulk": bulk,
        "bulk_ties": bulk_ties,
        "memory": _ordered(may, "peak_memory_bytes"),
        "quality": _ordered([each for each in better if each["quality_kept"]["verdict"] == "kept"], "rougeL")[::-1],
    }


def same_text(technique: dict[str, Any], baseline: str | None) -> bool:
    """Tell whether every token of a technique is the baseline's; it is its own."""
    return technique["name"] == baseline or technique["changes"]["baseline"]["same_text"]


def _may(technique: dict[str, Any], by_name: dict[str, dict[str, Any]], baseline: str, measured: bool) -> bool:
    if same_text(technique, baseline):
        return True
    if measured:
        return technique["quality_kept"]["verdict"] == "kept"
    return lossless(technique, by_name, baseline)


def lossless(technique: dict[str, Any], by_name: dict[str, dict[str, Any]], baseline: str | None) -> bool:
    """Tell whether a technique must give the baseline's text: it goes back to it in steps that change none."""
    while technique["name"] != baseline:
        if not technique["lossless"] or technique["parent"] not in by_name:
            return False
        technique = by_name[technique["parent"]]
    return True


def _timed(
    may: list[dict[str, Any]], key: str, metrics: Metrics, columns: Columns, baseline: str
) -> tuple[list[str], list[str] | None]:
    """Return names by a change against the baseline that is tested, best first, and those tied with the best."""
    ratios = {each["name"]: 1.0 if each["name"] == baseline else _ratio(each, key) for each in may}
    known = [name for name, ratio in ratios.items() if ratio is not None]
    order = sorted(known, key=ratios.__getitem__, reverse=key == THROUGHPUT)
    if not order:
        return [], None
    ties = answer.ties(order[0], {name: metrics[name] for name in order}, columns, key)
    group = [order[0], *(ties or [])]
    own = {each["name"]: same_text(each, baseline) for each in may}
    first = next((name for name in order if name in group and own[name]), order[0])
    tied = None if ties is None else [name for name in order if name in group and name != first]
    return [first, *(name for name in order if name != first)], tied


def _ratio(technique: dict[str, Any], key: str) -> float | None:
    value = _change(technique, key).get("value")
    return None if value is None else 1 + value / 100


def _one_by_one(technique: dict[str, Any]) -> bool:
    return (technique["batch_size"] or 1) == 1


def _ordered(techniques: list[dict[str, Any]], key: str) -> list[str]:
    known = [each for each in techniques if each["figures"][key]["value"] is not None]
    return [each["name"] for each in sorted(known, key=lambda each: each["figures"][key]["value"])]


def _change(technique: dict[str, Any], key: str) -> dict[str, Any]:
    return (technique["changes"]["baseline"]["figures"] or {}).get(key) or {}
