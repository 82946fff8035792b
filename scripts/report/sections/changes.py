"""Changes against parent and baseline: ratios with their intervals, and the words that a test allows."""

from typing import Any

from scripts.comparison import changes as compared
from scripts.metrics import registry
from scripts.report import beside, columns, forest, numbers, rows
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
    return [(key, registry.changes()[key].label) for key in KEYS]


def _table(comparison: dict[str, Any], kind: str, labels: dict[str, str]) -> dict[str, Any]:
    shown = rows.ran(comparison["techniques"])
    axis = forest.forest([(technique["changes"][kind]["figures"] or {}).get(PLOTTED) for technique in shown])
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


def further(figures: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Return the changes that the tables leave out, each in one line."""
    pairs = []
    for key, entry in registry.changes().items():
        cell = ratio_cell(figures[key], key) if figures and key not in KEYS else None
        if cell and cell["text"] != numbers.NOTHING:
            between = f" ({cell['interval']})" if cell["interval"] else ""
            pairs.append((entry.label, f"{cell['text']}{between}{', ' if cell['verdict'] else ''}{cell['verdict']}"))
    return pairs


def ratio_cell(figure: dict[str, Any], key: str) -> dict[str, Any]:
    """Return one cell: the ratio to the reference (a difference for the likelihood), interval, verdict and its test."""
    if key == compared.NLL and figure["value"] is not None:
        text = numbers.fixed(figure["value"], 3)
        text = text if figure["value"] <= 0 or text == "0.000" else f"+{text}"
        interval = _between(figure["low"], figure["high"])
    elif figure["value"] is None:
        text, interval = numbers.NOTHING, ""
    else:
        # Memory is one reading a run: its change has no test and so no ratio of its own.
        ratio = figure.get("ratio", 1 + figure["value"] / 100)
        text, interval = columns.ratio_texts(ratio, figure.get("ratio_low"), figure.get("ratio_high"))
    verdict = figure.get("verdict")
    return {
        "text": text,
        "interval": interval,
        "verdict": verdict or "",
        "tone": columns.tone(verdict),
        "note": "; ".join(filter(None, (_test(figure), figure["note"]))),
        "p_value": _p_value(figure),
    }


def _between(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return ""
    return f"{numbers.fixed(low, 3)} to {numbers.fixed(high, 3)}"


def _test(figure: dict[str, Any]) -> str:
    """Return what a cell says on hovering: the change in percent, and the p-value and method behind the verdict."""
    parts = []
    if figure["unit"] == "%" and figure["value"] is not None and "ratio" in figure:
        parts.append(f"{numbers.percent(100 * figure['ratio'] - 100)}")
    if p_value := _p_value(figure):
        parts.append(f"{p_value} after Holm's correction")
    return "; ".join([*parts, figure["interval"]] if figure["interval"] else parts)


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


SECTION = Section("changes", "Changes", 50, tables)
