"""Changes against parent and baseline: ratios with their intervals, and the words that a test allows."""

from typing import Any

from scripts.comparison import changes as compared
from scripts.metrics import registry
from scripts.report import beside, columns, factors, forest, numbers, rows
from scripts.report.section import Section

KEYS = (
    "latency_change_percent", "fixed_latency_change_percent", "fixed_tpot_change_percent", "throughput_change_percent",
    "peak_memory_change_percent", "quality_kept_percent_rougeL", compared.NLL,
)  # fmt: skip
PLOTTED = "latency_change_percent"
TITLES = {"parent": "Against the parent", "baseline": "Against the baseline"}


def tables(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one table a kind of reference, each with interval plots of the latency."""
    labels = rows.labels(comparison)
    return [_table(comparison, kind, labels) for kind in TITLES]


def _titles() -> list[tuple[str, str]]:
    return [(key, factors.title(key)) for key in KEYS]


def _table(comparison: dict[str, Any], kind: str, labels: dict[str, str]) -> dict[str, Any]:
    shown = rows.ran(comparison["techniques"])
    axis = forest.forest([_plotted((technique["changes"][kind]["figures"] or {}).get(PLOTTED)) for technique in shown])
    found = []
    for technique, plotted in zip(shown, axis["rows"], strict=True):
        change = technique["changes"][kind]
        found.append(
            rows.head(technique)
            | {
                "against": labels.get(change["against"], change["against"] or ""),
                "difference": rows.difference_text(technique["difference"]),
                "forest": plotted,
                "reason": change["reason"] if change["figures"] is None else "",
                "cells": [ratio_cell(change["figures"][key], key) for key in KEYS] if change["figures"] else [],
                "quality": columns.quality(change),
            }
        )
    judged = [technique for technique in shown if technique["changes"][kind]["figures"]]
    notes = rows.missing_lines(
        [(title, [(t["label"], t["changes"][kind]["figures"][key]) for t in judged]) for key, title in _titles()]
    )
    return {
        "kind": kind,
        "title": TITLES[kind],
        "baseline": labels.get(comparison["baseline"]["name"], "") if kind == "baseline" else "",
        "keys": [title for _, title in _titles()],
        "axis": axis,
        "rows": found,
        "tested": _tested(found),
        "methods": _methods(judged, kind),
        "notes": [*beside.lines(comparison), *notes],
    }


def _plotted(figure: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a change of time as the factor of speed that the interval plots show."""
    if figure is None:
        return None
    value, low, high = factors.factor(figure, PLOTTED)
    return {"unit": "1", "value": value, "low": low, "high": high}


def further(figures: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Return the changes that the tables leave out, each in one line."""
    pairs = []
    for key in registry.changes():
        cell = ratio_cell(figures[key], key) if figures and key not in KEYS else None
        if cell and cell["text"] != numbers.NOTHING:
            between = f" ({cell['interval']})" if cell["interval"] else ""
            pairs.append(
                (factors.title(key), f"{cell['text']}{between}{', ' if cell['verdict'] else ''}{cell['verdict']}")
            )
    return pairs


def ratio_cell(figure: dict[str, Any], key: str) -> dict[str, Any]:
    """Return one cell: the change in the report's one form (``factors``), interval, verdict and its test."""
    text, interval = factors.texts(figure, key)
    verdict = figure.get("verdict")
    return {
        "text": text,
        "interval": interval,
        "verdict": verdict or "",
        "tone": columns.tone(verdict),
        "note": "; ".join(filter(None, (_test(figure), figure["note"]))),
        "p_value": _p_value(figure),
    }


def _test(figure: dict[str, Any]) -> str:
    """Return what a cell says on hovering: the p-value and the method behind the verdict."""
    p_value = _p_value(figure)
    return "; ".join(filter(None, (p_value and f"{p_value} after Holm's correction", figure["interval"])))


def _p_value(figure: dict[str, Any]) -> str:
    """Return the corrected p-value, or nothing where no test was made."""
    p_value = figure.get("adjusted_p_value")
    if p_value is None:
        return ""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def _tested(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows that a test was made for, with the p-value of each cell, or a dash."""
    return [
        {"name": row["name"], "label": row["label"],
         "p_values": [cell["p_value"].removeprefix("p = ") or numbers.NOTHING for cell in row["cells"]]}
        for row in found
        if any(cell["p_value"] for cell in row["cells"])
    ]  # fmt: skip


def _methods(judged: list[dict[str, Any]], kind: str) -> list[str]:
    """Return how the intervals of each figure were made, a line a method."""
    named: dict[str, list[str]] = {}
    for key, title in _titles():
        used = {technique["changes"][kind]["figures"][key]["interval"] for technique in judged}
        for method in sorted(used - {None}):
            named.setdefault(method, []).append(title)
    return [f"{', '.join(titles)}: {method}." for method, titles in named.items()]


SECTION = Section("changes", "Changes", 50, tables, within="results")
