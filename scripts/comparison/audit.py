"""Withdraws the figures of techniques that fail the lossless check, whose token differences rounding can't explain."""

from typing import Any

from scripts.comparison.loading import Metrics
from scripts.comparison.matches import matches, no_matches
from scripts.metrics import figures

FAULT = "error"
INVALID = "invalid"


def audited(study: dict[str, Any], metrics: Metrics) -> tuple[Metrics, dict[str, dict[str, Any]]]:
    """Match every technique with its parent and withdraw the figures of those that fail.

    A parent is judged before its children, so that nothing is compared with figures that were withdrawn.

    Returns:
        The metrics, where a technique that failed has status ``invalid``, the reason, and no figures or samples; and
        per technique its matches.
    """
    entries = {entry["name"]: entry for entry in study["techniques"]}
    judged: Metrics = {}
    found: dict[str, dict[str, Any]] = {}

    def judge(name: str) -> None:
        if name in judged:
            return
        content, parent = metrics[name], entries[name].get("parent")
        judged[name] = content  # before the parent: a circle ends here
        if parent in entries:
            judge(parent)
        reason = absence(name, parent, "parent", judged)
        if reason:
            found[name] = no_matches(parent, reason)
            return
        found[name] = matches(content, judged[parent], bool(entries[name].get("lossless")))
        if found[name]["audit"]["verdict"] == FAULT:
            judged[name] = _withdrawn(content, found[name]["audit"]["sentence"])

    for name in entries:
        judge(name)
    return {name: judged[name] for name in entries}, found


def absence(name: str, other: str | None, kind: str, metrics: Metrics) -> str | None:
    """Say why a technique can't be compared with another, its parent or the baseline, or None when it can."""
    if metrics[name]["status"] != "ok":
        return "this technique has no figures"
    if other is None:
        return f"it has no {kind}"
    if other == name:
        return f"it is the {kind}"
    return no_figures(other, metrics)


def no_figures(name: str | None, metrics: Metrics) -> str | None:
    """Say why a technique has no figures, or None when it has."""
    if name is None:
        return "the study names no baseline"
    if name not in metrics:
        return f"{name} is not among the selected techniques"
    status = metrics[name]["status"]
    return None if status == "ok" else f"{name} has no figures ({status.replace('_', ' ')})"


def _withdrawn(content: dict[str, Any], reason: str) -> dict[str, Any]:
    """Return the metrics of a technique without any figure."""
    empty = {key: figures.missing(figure["unit"], INVALID) for key, figure in content["figures"].items()}
    return content | {
        "status": INVALID,
        "reason": reason,
        "quality_measured": False,
        "figures": empty,
        "samples": None,
        "memory_devices": [],
        "tokens_differ_between_runs": None,
    }
