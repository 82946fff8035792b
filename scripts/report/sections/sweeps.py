"""Sweeps: techniques that differ in one value, in the order of that value, with those that did not run.

Techniques that differ in nothing but the batch size are a sweep too, whether the study calls them one or not.
"""

import json
from typing import Any

from markupsafe import Markup

from scripts.report import columns, curves, drawing, numbers, rows, text
from scripts.report.columns import Column
from scripts.report.section import Section
from scripts.report.sections import changes

COLUMNS = (
    Column("latency_s", "", "latency", numbers.TIME, spread=True),
    Column("throughput_samples_per_s", "", "samples/s", columns.PLAIN),
    Column("peak_memory_bytes", "", "peak memory", numbers.BYTES),
    Column("rougeL", "", "ROUGE-L", columns.PLAIN, decimals=3),
    Column("reference_nll_per_token", "", "NLL", [(1.0, "nats/token")], decimals=3),
)
VERDICTS = ("latency_change_percent", "throughput_change_percent")


def sweeps(comparison: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return a table a sweep, those of the study first, with where its curves bend; None where there is none.

    Returns:
        Per sweep its table, ``knees``, and ``curve``: the drawing of a sweep that the study does not name, else empty.
    """
    techniques = rows.by_name(comparison)
    found = [_sweep(sweep, techniques) | {"curve": "", "knees": curves.knees(comparison, sweep)}
             for sweep in comparison["sweeps"]]  # fmt: skip
    for number, sweep in enumerate(batches(comparison)):
        drawn = curves.svg(comparison, sweep)
        curve = Markup(drawing.inert_svg(drawn, f"batches-{number}-")) if drawn else ""  # noqa: S704
        found.append(_sweep(sweep, techniques) | {"curve": curve, "knees": curves.knees(comparison, sweep)})
    return found or None


def batches(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a sweep for every group of techniques that differ in nothing but their batch size and are in no sweep yet.

    A group needs two sizes that ran; of equal sizes the first technique stands for all.
    """
    swept = [
        ({point["technique"] for point in sweep["points"]}, {point["value"] for point in sweep["points"]})
        for sweep in comparison["sweeps"]
        if sweep["facet"] == "batch_size"
    ]
    groups: dict[str, list[dict[str, Any]]] = {}
    for technique in comparison["techniques"]:
        settings = {key: value for key, value in (technique["settings"] or {}).items() if key != "batch_size"}
        groups.setdefault(json.dumps(settings, sort_keys=True), []).append(technique)
    found = []
    for group in groups.values():
        by_size: dict[int, dict[str, Any]] = {}
        for technique in group:
            by_size.setdefault((technique["settings"] or {}).get("batch_size") or 1, technique)
        if sum(technique["status"] == "ok" for technique in by_size.values()) < 2:
            continue
        members = {technique["name"] for technique in group}
        if any(names & members and set(by_size) <= sizes for names, sizes in swept):
            continue
        points = [
            {
                "value": size,
                "technique": technique["name"],
                "status": technique["status"],
                "reason": technique["reason"],
            }
            for size, technique in sorted(by_size.items())
        ]
        first = points[0]["technique"]
        found.append(
            {"name": "batch size", "technique": first, "facet": "batch_size", "points": points, "break_even": []}
        )
    return found


def _sweep(sweep: dict[str, Any], techniques: dict[str, Any]) -> dict[str, Any]:
    points = sweep["points"]
    ran = [techniques[p["technique"]] for p in points if p["status"] == "ok" and p["technique"] in techniques]
    chosen = columns.scales(COLUMNS, ran)
    base = techniques.get(sweep["technique"])
    return {
        "name": sweep["name"] or "",
        "facet": sweep["facet"] or "",
        "base": base["label"] if base else sweep["technique"] or "",
        "heads": [{"title": column.title, "unit": chosen[column.key].unit} for column in COLUMNS],
        "rows": [_row(point, techniques.get(point["technique"]), chosen, sweep) for point in points],
        "drafting": bool(sweep["break_even"]),
        "notes": columns.notes(COLUMNS, ran),
        "compared": ", ".join(dict.fromkeys(_against(t, techniques) for t in ran if t["name"] != sweep["technique"])),
    }


def _row(
    point: dict[str, Any], technique: dict[str, Any] | None, chosen: dict[str, Any], sweep: dict[str, Any]
) -> dict[str, Any]:
    row = {"value": text.plain(point["value"]), "name": point["technique"], "label": point["technique"], "ok": False}
    if technique is not None:
        row["label"] = technique["label"]
    if technique is None or point["status"] != "ok":
        return row | {"reason": rows.absent(point["status"], point["reason"])}
    own = point["technique"] == sweep["technique"]
    figures = None if own else technique["changes"]["parent"]["figures"]
    kept = columns.quality(technique["changes"]["parent"])
    verdicts = [changes.ratio_cell(figures[key], key) for key in VERDICTS] if figures else []
    if verdicts:
        verdicts.append({"text": kept["verdict"] or numbers.NOTHING, "interval": "", "verdict": "",
                         "tone": kept["tone"], "note": kept["reason"]})  # fmt: skip
    return row | {
        "ok": True,
        "why_not": "what the others differ from" if own else technique["changes"]["parent"]["reason"] or "",
        "cells": [
            columns.cell(technique["figures"][column.key], chosen[column.key], spread=column.spread)
            for column in COLUMNS
        ],
        "verdicts": verdicts,
    }


def _against(technique: dict[str, Any], techniques: dict[str, Any]) -> str:
    parent = techniques.get(technique["parent"])
    return parent["label"] if parent else "no parent"


SECTION = Section("sweeps", "Sweeps", 100, sweeps, within="tradeoff")
