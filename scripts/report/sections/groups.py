"""Whether quality is lost on short summaries or in some categories more than elsewhere."""

from typing import Any

from scripts.comparison import groups as comparison_groups
from scripts.report import numbers, rows, text
from scripts.report.section import Section
from scripts.report.templates import told

LONGEST = 60  # characters of a category in a sentence
TITLES = {
    comparison_groups.LENGTH: "By the length of the summary",
    comparison_groups.CATEGORY: "By category",
}


def groups(comparison: dict[str, Any]) -> dict[str, Any] | None:
    """Return a sentence and a table a grouping; None where prompts are too few for any."""
    found = comparison.get("groups")
    if not found:
        return None
    labels = rows.labels(comparison)
    return {
        "sentences": [_sentence(kind, found, labels) for kind in found["groups"]],
        "tables": [_table(kind, found, labels) for kind in found["groups"]],
        "tested": found["tested"],
    }


def _results(kind: str, found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: results[kind] for name, results in found["techniques"].items() if kind in results}


def _sentence(kind: str, found: dict[str, Any], labels: dict[str, str]) -> str:
    """Say in one sentence whether the loss differs by a grouping, and by how much where it does so the most."""
    results = _results(kind, found)
    differing = [name for name, result in results.items() if result["verdict"] == comparison_groups.DIFFERS]
    worst = max(differing or results, key=lambda name: _width(results[name]), default=None)
    titles = [text.shortened(group["label"], LONGEST) for group in found["groups"][kind]]
    return told(
        "groups", kind, count=len(results), differing=[labels[name] for name in differing],
        worst=worst and labels[worst], ends=_ends(results[worst], titles) if worst else [],
        gap=_gap(results[worst].get("gap")) if worst else "", tested=found["tested"],
    )  # fmt: skip


def _known(result: dict[str, Any]) -> list[tuple[float, int]]:
    return [(figure["value"], at) for at, figure in enumerate(result["kept"]) if figure["value"] is not None]


def _width(result: dict[str, Any]) -> float:
    """How far apart the groups of a technique lie, in points."""
    values = [value for value, _ in _known(result)]
    return max(values) - min(values) if values else 0.0


def _ends(result: dict[str, Any], titles: list[str]) -> list[str]:
    """What is kept where the least is, and where the most."""
    known = _known(result)
    at = [min(known)[1], max(known)[1]] if known else []
    return [f"{_kept(result['kept'][place])} ({titles[place]})" for place in at]


def _gap(figure: dict[str, Any] | None) -> str:
    if not figure or figure["value"] is None:
        return ""
    between = "" if figure["low"] is None else f" ({figure['low']:+.1f} to {figure['high']:+.1f})"
    return f"{figure['value']:+.1f} points{between}".replace("-", numbers.MINUS)


def _kept(figure: dict[str, Any]) -> str:
    return "not known" if figure["value"] is None else f"{numbers.fixed(figure['value'], 1)}%"


def _table(kind: str, found: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    return {
        "title": TITLES[kind],
        "heads": [{"label": group["label"], "n": group["n"]} for group in found["groups"][kind]],
        "rows": [
            {
                "name": name,
                "label": labels[name],
                "against": labels.get(found["techniques"][name]["against"], ""),
                "cells": [_cell(figure) for figure in result["kept"]],
                "verdict": result["verdict"],
                "p_value": _p_value(result["adjusted_p_value"]),
            }
            for name, result in _results(kind, found).items()
        ],
    }


def _cell(figure: dict[str, Any]) -> dict[str, str]:
    between = ""
    if figure["low"] is not None:
        between = f"{numbers.fixed(figure['low'], 1)} to {numbers.fixed(figure['high'], 1)}"
    return {"value": _kept(figure), "between": between, "note": figure["note"] or ""}


def _p_value(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


SECTION = Section("groups", "Quality by length and category", 115, groups, within="headlines")
