"""The content of comparison.json."""

from typing import Any

from scripts.comparison import answer, changes, matches, verdicts
from scripts.comparison.loading import Metrics

COPIED = (
    "status",
    "reason",
    "quality_measured",
    "figures",
    "sample_count",
    "run_count",
    "batch_size",
    "tokens_differ_between_runs",
    "memory_method",
    "memory_devices",
    "models",
    "generation",
    "evidence",
    "threads",
    "processes",
    "runs",
)
DEFAULT_EXAMPLES = 12


def comparison(
    study: dict[str, Any], dataset: list[dict[str, Any]], manifest: dict[str, Any], metrics: Metrics
) -> dict[str, Any]:
    """Put the techniques of a study side by side.

    Args:
        study: title, baseline, prompt, examples and the techniques in report order.
        dataset: the rows of the evaluation set.
        manifest: the dataset's manifest, passed through.
        metrics: per technique the content of its metrics file.
    """
    resampled = changes.resample(metrics)
    baseline = study.get("baseline")
    rows = [_technique(entry, baseline, metrics, resampled) for entry in study["techniques"]]
    for kind in ("parent", "baseline"):
        compared = {row["name"]: row["changes"][kind]["figures"] for row in rows if row["changes"][kind]["figures"]}
        verdicts.add_verdicts(compared)
    present = baseline if baseline in metrics and metrics[baseline]["status"] == "ok" else None
    ran = [metrics[row["name"]] for row in rows if row["status"] == "ok"]
    source = next(iter(ran or metrics.values()))
    return {
        "title": study.get("title") or "Inference optimisation study",
        "prompt": study.get("prompt"),
        "baseline": {"name": baseline, "reason": None if present else _absent(baseline, metrics)},
        "answer": answer.answer(rows, present),
        "techniques": rows,
        "examples": _examples(study, dataset, rows, metrics),
        "dataset": {"samples": len(dataset), "manifest": manifest},
        "machine": source.get("machine"),
        "versions": source.get("versions"),
        "started_at": _extreme(min, metrics, "started_at"),
        "finished_at": _extreme(max, metrics, "finished_at"),
    }


def _technique(
    entry: dict[str, Any], baseline: str | None, metrics: Metrics, resampled: dict[str, changes.Resampled]
) -> dict[str, Any]:
    """Build the part of one technique."""
    name, parent = entry["name"], entry.get("parent")
    content = metrics[name]
    reasons = {
        "parent": _reason(name, parent, "parent", metrics),
        "baseline": _reason(name, baseline, "baseline", metrics),
    }
    against = {"parent": parent, "baseline": baseline}
    compared = {
        kind: {
            "against": against[kind],
            "reason": reason,
            "figures": None if reason else changes.changes(content, metrics[against[kind]], resampled),
        }
        for kind, reason in reasons.items()
    }
    lossless = bool(entry.get("lossless"))
    if reasons["parent"]:
        match = matches.no_matches(parent, reasons["parent"])
    else:
        match = matches.matches(content, metrics[parent], lossless)
    return {
        "name": name,
        "label": entry.get("label") or name,
        "parent": parent,
        "lossless": lossless,
        "difference": entry.get("difference") or {},
        "settings": entry.get("settings") or content.get("settings") or {},
        **{key: content.get(key) for key in COPIED},
        "changes": compared,
        "matches": match,
    }


def _reason(name: str, other: str | None, kind: str, metrics: Metrics) -> str | None:
    """Say why a technique can't be compared with another, or None when it can."""
    if metrics[name]["status"] != "ok":
        return "this technique has no figures"
    if other is None:
        return f"it has no {kind}"
    if other == name:
        return f"it is the {kind}"
    return _absent(other, metrics)


def _absent(name: str | None, metrics: Metrics) -> str | None:
    """Say why a technique has no figures, or None when it has."""
    if name is None:
        return "the study names no baseline"
    if name not in metrics:
        return f"{name} is not among the selected techniques"
    status = metrics[name]["status"]
    return None if status == "ok" else f"{name} has no figures ({status.replace('_', ' ')})"


def _examples(
    study: dict[str, Any], dataset: list[dict[str, Any]], rows: list[dict[str, Any]], metrics: Metrics
) -> list[dict[str, Any]]:
    """Return the first rows of the evaluation set with what every technique made of them."""
    count = study.get("examples", DEFAULT_EXAMPLES)
    ran = [row["name"] for row in rows if row["status"] == "ok"]
    return [
        {
            "id": row["id"],
            "summary": row["summary"],
            "reference": row["headline"],
            "category": row.get("category") or "",
            "headlines": {name: metrics[name]["samples"]["headline"][index] for name in ran},
        }
        for index, row in enumerate(dataset[:count])
    ]


def _extreme(pick: Any, metrics: Metrics, key: str) -> str | None:
    """Return the earliest or latest time over every run; ISO-8601 UTC texts of one form sort by time."""
    times = [run[key] for content in metrics.values() for run in content.get("runs") or [] if run.get(key)]
    return pick(times, default=None)
