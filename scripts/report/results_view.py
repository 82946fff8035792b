"""The results table, the further figures below it, and what raises doubts about them."""

from typing import Any

from scripts.metrics.figures import ONE_READING
from scripts.report import columns, rows


def results(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return the results table: every figure, and the change against the baseline."""
    techniques = comparison["techniques"]
    scales = columns.scales(columns.RESULTS, techniques)
    best = columns.best_values(columns.RESULTS, techniques)
    shown = []
    for technique in techniques:
        against = technique["changes"]["baseline"]["figures"] or {}
        shown.append(
            rows.head(technique)
            | {
                "baseline": technique["name"] == comparison["baseline"]["name"],
                "batch": "" if technique["batch_size"] == 1 else f"batch {technique['batch_size']}",
                "flags": rows.flags(technique),
                "cells": [
                    columns.cell(
                        technique["figures"][column.key], scales[column.key], best.get(column.key), column.spread
                    )
                    for column in columns.RESULTS
                ],
                "changes": [
                    columns.change_cell(against.get(key), key) | {"verdict": "", "interval": ""}
                    for key in columns.CHANGES
                ],
            }
        )
    groups = columns.heads(columns.RESULTS, scales)
    length = _fixed_length(techniques)
    for group in groups:
        if group["title"] == "Fixed length" and length:
            group["title"] = f"Fixed length, {length} tokens"
    return {
        "groups": groups,
        "changes": list(columns.CHANGES.values()),
        "baseline_reason": comparison["baseline"]["reason"] or "",
        "rows": shown,
        "width": 1 + len(columns.RESULTS) + len(columns.CHANGES),
        "more": columns.table(columns.MORE, techniques),
        "semantic_model": _semantic_model(techniques),
    }


def doubts(techniques: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the sentences of every technique that has a flag."""
    found = [(technique["label"], rows.flags(technique)) for technique in techniques]
    return [{"label": label, "message": " ".join(flag["message"] for flag in flags)} for label, flags in found if flags]


def notes(techniques: list[dict[str, Any]]) -> list[str]:
    """Return what must be known beside the figures of the table, each once."""
    ran = rows.ran(techniques)
    titles = {"latency_p99_s": "P99 latency", "latency_s": "Intervals", "peak_memory_bytes": "Peak memory"}
    found_notes = {(title, t["figures"][key]["note"]): None for key, title in titles.items() for t in ran}
    found = [f"{title}: {note}." for title, note in found_notes if note and note != ONE_READING]
    for technique in ran:
        if technique["tokens_differ_between_runs"]:
            count = technique["tokens_differ_between_runs"]
            found.append(
                f"{technique['label']}: {count} prompts gave other tokens in another run; quality is of run 1."
            )
    found += columns.notes(columns.RESULTS, ran)
    if ran and all(technique["run_count"] == 1 for technique in ran):
        found.append("Each technique ran once, so the spread from run to run is not known.")
    return found


def _fixed_length(techniques: list[dict[str, Any]]) -> str:
    """Return how many new tokens every request of the fixed mode has, or nothing where that is not known."""
    lengths = {((technique["modes"] or {}).get("fixed") or {}).get("new_tokens") for technique in rows.ran(techniques)}
    return "/".join(str(length) for length in sorted(lengths - {None}))


def _semantic_model(techniques: list[dict[str, Any]]) -> str:
    """Return the model that the semantic similarity was scored with."""
    for technique in techniques:
        model = technique["semantic_model"]
        if model:
            return ", ".join(str(value) for value in model.values()) if isinstance(model, dict) else str(model)
    return ""
