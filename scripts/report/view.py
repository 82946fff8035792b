"""The view of the report: everything that the template shows, as text and positions, in the order it is shown."""

from typing import Any

from scripts.metrics.figures import ONE_READING
from scripts.report import answer, columns, details, forest, numbers, text

STATUS = {"ok": "measured", "unsupported": "not supported here", "out_of_memory": "out of memory",
          "invalid": "invalid: not what was asked for"}  # fmt: skip
CHANGE_KEYS = {
    "latency_change_percent": "Latency",
    "throughput_change_percent": "Samples/s",
    "peak_memory_change_percent": "Peak memory",
    "quality_kept_percent_rougeL": "ROUGE-L kept",
}


def report_view(comparison: dict[str, Any]) -> dict[str, Any]:
    """Build the view of a comparison; every text in it is inert, and the template escapes it for HTML."""
    comparison = text.inert_values(comparison)
    techniques = comparison["techniques"]
    labels = {technique["name"]: technique["label"] for technique in techniques}
    return {
        "title": comparison["title"],
        "answer": answer.sentences(comparison),
        "summary": _summary(comparison),
        "results": _results(comparison, techniques),
        "changes": _changes(comparison, techniques, labels),
        "plots_left_out": _left_out(comparison),
        "matches": _matches(techniques, labels),
        "examples": [_example(example, labels) for example in comparison["examples"]],
        "techniques": [details.technique_details(technique, labels) for technique in techniques],
        "conditions": details.conditions(comparison),
        "notes": _notes(techniques),
    }


def _summary(comparison: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the facts under the title."""
    runs = {technique["run_count"] for technique in comparison["techniques"]}
    facts = [
        ("Techniques", f"{comparison['answer']['ran']} of {len(comparison['techniques'])} ran"),
        ("Headlines", f"{comparison['dataset']['samples']:,} each"),
        ("Runs", "/".join(str(count) for count in sorted(runs)) + " each"),
        ("Machine", details.machine_line(comparison["machine"])),
    ]
    if comparison["started_at"]:
        facts.append(("Measured", details.time_span(comparison["started_at"], comparison["finished_at"])))
    return facts


def _status(technique: dict[str, Any]) -> dict[str, str]:
    return {"name": technique["status"], "text": STATUS[technique["status"]]}


def _head(technique: dict[str, Any]) -> dict[str, Any]:
    """Return what stands in the first column of every table."""
    return {
        "name": technique["name"],
        "label": technique["label"],
        "status": _status(technique),
        "reason": technique["reason"] or "",
        "ok": technique["status"] == "ok",
    }


def _results(comparison: dict[str, Any], techniques: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the results table: every figure, and the change against the baseline."""
    scales = columns.scales(techniques)
    best = columns.best_values(techniques)
    rows = []
    for technique in techniques:
        against = technique["changes"]["baseline"]["figures"] or {}
        rows.append(
            _head(technique)
            | {
                "baseline": technique["name"] == comparison["baseline"]["name"],
                "batch": "" if technique["batch_size"] == 1 else f"batch {technique['batch_size']}",
                "n": technique["sample_count"],
                "cells": [
                    columns.cell(technique["figures"][column.key], scales[column.key], best.get(column.key))
                    for column in columns.COLUMNS
                ],
                "changes": [columns.change_cell(against.get(key), key) | {"verdict": ""} for key in columns.CHANGES],
            }
        )
    return {
        "groups": columns.heads(scales),
        "changes": list(columns.CHANGES.values()),
        "baseline_reason": comparison["baseline"]["reason"] or "",
        "rows": rows,
        "width": 2 + len(columns.COLUMNS) + len(columns.CHANGES),
    }


def _changes(comparison: dict[str, Any], techniques: list[dict[str, Any]], labels: dict[str, str]) -> dict[str, Any]:
    """Return the table of changes against the parent and the baseline, with interval plots against the parent."""
    shown = [technique for technique in techniques if technique["status"] == "ok"]
    plots = {
        key: forest.forest([(technique["changes"]["parent"]["figures"] or {}).get(key) for technique in shown])
        for key in ("latency_change_percent",)
    }
    rows = []
    for index, technique in enumerate(shown):
        parent = technique["changes"]["parent"]
        rows.append(
            _head(technique)
            | {
                "parent": labels.get(parent["against"], parent["against"] or ""),
                "difference": details.difference_text(technique["difference"]),
                "forest": plots["latency_change_percent"]["rows"][index],
                "against": [_against(technique["changes"][kind]) for kind in ("parent", "baseline")],
            }
        )
    baseline = comparison["baseline"]["name"]
    return {
        "keys": list(CHANGE_KEYS.values()),
        "axis": plots["latency_change_percent"],
        "baseline": labels.get(baseline, baseline or ""),
        "rows": rows,
    }


def _against(change: dict[str, Any]) -> dict[str, Any]:
    """Return the cells of one comparison, or the reason why there is none."""
    if change["figures"] is None:
        return {"reason": change["reason"], "cells": []}
    return {"reason": "", "cells": [columns.change_cell(change["figures"][key], key) for key in CHANGE_KEYS]}


def _left_out(comparison: dict[str, Any]) -> list[str]:
    """Return the techniques that the plots don't show, each with the reason."""
    lines = []
    for technique in comparison["techniques"]:
        if technique["status"] != "ok":
            lines.append(f"{technique['label']} ({STATUS[technique['status']]})")
        elif comparison["answer"]["quality_measured"] and not technique["quality_measured"]:
            lines.append(f"{technique['label']} (quality not measured)")
    return lines


def _matches(techniques: list[dict[str, Any]], labels: dict[str, str]) -> list[dict[str, Any]]:
    """Return the lossless check: every technique with a parent, those that must match it first."""
    rows = []
    for technique in sorted(techniques, key=lambda technique: not technique["lossless"]):
        match = technique["matches"]
        if technique["parent"] is None or (match["reason"] and not technique["lossless"]):
            continue
        row = _head(technique) | {
            "parent": labels.get(technique["parent"], technique["parent"]),
            "must": technique["lossless"],
            "reason": match["reason"] or "",
        }
        if not match["reason"]:
            row |= {"tokens": _count(match["same_tokens"]), "headlines": _count(match["same_headlines"])}
            row |= {"verdict": _match_verdict(match), "dtype": match["dtype"] or "", "first": _first(match)}
        rows.append(row)
    return rows


def _count(figure: dict[str, Any]) -> dict[str, str]:
    interval = numbers.percent_interval(
        *(None if figure[e] is None else 100 * figure[e] for e in ("low", "high")), False
    )
    return {
        "text": f"{figure['count']} of {figure['n']}",
        "share": numbers.share(figure["value"]),
        "interval": interval,
    }


def _match_verdict(match: dict[str, Any]) -> dict[str, str]:
    if match["lossless"] is None:
        return {"text": "may differ", "tone": ""}
    if match["lossless"]:
        return {"text": "identical", "tone": "good"}
    return {"text": "differs", "tone": "bad" if match["exact_expected"] else "unclear"}


def _first(match: dict[str, Any]) -> str:
    first = match["first_divergence"]
    return f"token {first['position'] + 1} of sample {first['id']}" if first else numbers.NOTHING


def _example(example: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    """Return one example; techniques that wrote the same headline stand together."""
    groups: dict[str, list[str]] = {}
    for name, headline in example["headlines"].items():
        groups.setdefault(headline, []).append(labels[name])
    return {
        "id": example["id"],
        "category": example["category"],
        "summary": example["summary"],
        "reference": example["reference"],
        "headlines": [
            {"text": headline, "techniques": names, "exact": headline == example["reference"]}
            for headline, names in groups.items()
        ],
    }


def _notes(techniques: list[dict[str, Any]]) -> list[str]:
    """Return what must be known beside the figures of the table, each once."""
    ran = [technique for technique in techniques if technique["status"] == "ok"]
    titles = {"latency_p99_s": "P99 latency", "latency_s": "Intervals", "peak_memory_bytes": "Peak memory"}
    notes = {(title, t["figures"][key]["note"]): None for key, title in titles.items() for t in ran}
    found = [f"{title}: {note}." for title, note in notes if note and note != ONE_READING]
    for technique in ran:
        if technique["tokens_differ_between_runs"]:
            count = technique["tokens_differ_between_runs"]
            found.append(
                f"{technique['label']}: {count} prompts gave other tokens in another run; quality is of run 1."
            )
        if not technique["quality_measured"]:
            found.append(f"{technique['label']}: quality is not measured, as its weights are random.")
    if ran and all(technique["run_count"] == 1 for technique in ran):
        found.append("Each technique ran once, so the spread from run to run is not known.")
    return found
