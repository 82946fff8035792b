"""What the rows of every table begin with, and what a technique's row says where it has no figures."""

from typing import Any

from scripts.foundation import failures
from scripts.metrics import figures
from scripts.report import templates, text

STATUS = {"ok": "measured", "unsupported": "not supported here", "out_of_memory": "out of memory",
          "invalid": "invalid: not what was asked for", "failed": "failed"}  # fmt: skip
# Figures that a comparison holds beside those of the metrics file.
BESIDE = ("cost_per_million", "measured_speedup", "predicted_speedup")
PER_SAMPLE = "time_per_sample_s"
PARENTLESS = ("it has no parent", "it is the baseline")


def head(technique: dict[str, Any]) -> dict[str, Any]:
    """Return what stands in the first column of every table."""
    status = technique["status"]
    return {
        "name": technique["name"],
        "label": technique["label"],
        "status": {"name": status, "text": STATUS.get(status, status)},
        "reason": technique["reason"] or "",
        "ok": status == "ok",
    }


def absent(status: str, reason: str | None) -> str:
    """Return in a line why a technique has no figures; its status but once where the reason says it."""
    told = reason or "no reason was recorded"
    return told if failures.says(status, told) else f"{STATUS.get(status, status)}: {told}"


def by_name(comparison: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the techniques by their names."""
    return {technique["name"]: technique for technique in comparison["techniques"]}


def labels(comparison: dict[str, Any]) -> dict[str, str]:
    """Return the label of each technique by its name."""
    return {technique["name"]: technique["label"] for technique in comparison["techniques"]}


def flags(technique: dict[str, Any]) -> list[dict[str, str]]:
    """Return the doubts about a technique: a few words for a chip, and the sentence."""
    known = templates.general("flags")
    return [
        {"text": known.get(flag["kind"], {}).get("text", flag["kind"]), "message": flag["message"]}
        for flag in technique["flags"] or []
    ]


def figure(technique: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a figure of a technique wherever the comparison keeps it; one that is not there has no value."""
    if key in BESIDE:
        return technique[key]
    if key == PER_SAMPLE:
        return _inverse(technique["figures"]["throughput_samples_per_s"])
    if key == "same_headlines":
        match = technique["matches"]
        return match["same_headlines"] or figures.missing("1", match["reason"] or "not compared")
    return technique["figures"].get(key) or figures.missing("", "not recorded")


def _inverse(throughput: dict[str, Any]) -> dict[str, Any]:
    """Return seconds a sample from samples a second; in a batch that is less than a request's latency."""
    value, low, high = (None if not throughput[key] else 1 / throughput[key] for key in ("value", "high", "low"))
    if value is None:
        return figures.missing("s", throughput["note"] or "no throughput was measured")
    return figures.figure(value, "s", throughput["n"], (low, high), throughput["interval"], throughput["note"])


def difference_text(difference: dict[str, Any]) -> str:
    """Return a technique's difference from its parent in one line."""
    return "; ".join(f"{key} = {value}" for key, value in text.flattened(difference))


def no_winner(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is missing before a technique may be called the best; empty where nothing is."""
    return comparison.get("no_winner") or []


def ranked(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the ranking under the study's weights, best first; empty where nothing may be called the best."""
    return [] if no_winner(comparison) else (comparison.get("ranking") or {}).get("overall") or []


def ran(techniques: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the techniques that have figures."""
    return [technique for technique in techniques if technique["status"] == "ok"]


def missing_lines(columns: list[tuple[str, list[tuple[str, dict[str, Any]]]]]) -> list[str]:
    """Return why figures have no value; that a root has no parent goes without saying.

    Args:
        columns: per figure its title, and the label of each technique that ran with the figure itself.
    """
    reasons: dict[tuple[str, str], list[str]] = {}
    for title, found in columns:
        for label, entry in found:
            if entry["value"] is None and entry["note"] not in PARENTLESS:
                reasons.setdefault((title, entry["note"] or "no value"), []).append(label)
    return lines(reasons, len(columns[0][1]) if columns else 0)


def lines(reasons: dict[tuple[str, str], list[str]], count: int) -> list[str]:
    """Return a line for each reason, naming the techniques that it holds for unless it holds for all of them.

    Args:
        reasons: per title and reason the labels of its techniques; titles with the same reason and techniques share
            a line.
        count: how many techniques there are.
    """
    shared: dict[tuple[str, str], list[str]] = {}
    for (title, reason), labels in reasons.items():
        whose = "" if len(labels) == count else f" ({', '.join(labels)})"
        shared.setdefault((reason.rstrip("."), whose), []).append(title)
    return [f"{', '.join(titles)}: {reason}{whose}." for (reason, whose), titles in shared.items()]
