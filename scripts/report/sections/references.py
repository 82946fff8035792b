"""What reference studies reported, beside this run: their figures, those measured here, and where they disagree."""

import re
from typing import Any

from scripts.report import limits, numbers, plainly, rows
from scripts.report.section import Section

TOP = 3
SAME_DIRECTION = 0.005
"""A reported ratio this near to 1 says neither more nor less."""


def references(comparison: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return the reference studies as text; None where the study names none."""
    labels = rows.labels(comparison)
    return [_study(study, comparison, labels) for study in comparison["references"]] or None


def _study(study: dict[str, Any], comparison: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    facts = (("Model", "model"), ("Data set", "dataset"), ("Environment", "environment"), ("Date", "date"))
    return {
        "title": study["title"],
        "facts": [(title, str(study[key])) for title, key in facts if study.get(key)],
        "note": study.get("note") or "",
        "faults": study.get("faults") or [],
        "columns": [{"title": column["title"], "unit": _unit(column)} for column in study["columns"]],
        "rows": [_row(row, study["columns"], labels) for row in study["rows"]],
        "disagreements": list(filter(None, (_disagreement(row, study["columns"], labels) for row in study["rows"]))),
        "choices": [_choice(choice, comparison, labels) for choice in study.get("choices") or []],
        "top": _top(study.get("top_three") or [], comparison, labels),
    }


def _unit(column: dict[str, Any]) -> str:
    unit = column.get("unit") or ""
    return "" if unit == "1" else unit


def _row(row: dict[str, Any], columns: list[dict[str, Any]], labels: dict[str, str]) -> dict[str, Any]:
    name = row["technique"] if row["technique"] in labels else None
    absent = f"this study has no technique '{row['technique']}'" if row["technique"] else ""
    return {
        "name": row["name"],
        "technique": name or "",
        "label": labels.get(name, ""),
        "over": _over(row, labels),
        "why_none": "" if name else absent or row.get("why_none") or "nothing like it was measured here",
        "note": row.get("note") or "",
        "cells": [_cell(row, column["key"]) for column in columns],
    }


def _over(row: dict[str, Any], labels: dict[str, str]) -> dict[str, str]:
    """Return what both ratios of a row are over, there and here."""
    against = row["against"]
    return {
        "there": against["name"] or "its baseline",
        "here": labels.get(against["technique"], against["technique"] or "the baseline"),
    }


def _cell(row: dict[str, Any], key: str) -> dict[str, str]:
    """Return what was reported, as it was printed, its ratio within that study, and the ratio measured here."""
    reported, ratio = (row.get(part, {}).get(key) for part in ("reported", "reported_ratio"))
    measured = row.get("measured_ratio", {}).get(key) or {}
    value, low, high = (measured.get(part) for part in ("value", "low", "high"))
    return {
        "reported": numbers.NOTHING if reported is None else str(reported),
        "ratio": _times(ratio),
        "measured": _times(value),
        "interval": "" if None in (value, low, high) else f"{_times(low)[:-1]}{numbers.DASH}{_times(high)}",
    }


def _times(ratio: float | None) -> str:
    """Return a ratio with its sign of multiplication; three digits, so that 0.999 and 1.001 stay apart from 1."""
    if ratio is None:
        return numbers.NOTHING
    decimals = numbers.digits_after_point(ratio, 3) if ratio > 0 else 2
    return f"{numbers.fixed(ratio, max(min(decimals, 3), 1))}{numbers.TIMES}"


def _disagreement(row: dict[str, Any], columns: list[dict[str, Any]], labels: dict[str, str]) -> str:
    """Say where more was reported and less measured, or the other way round; only where the interval excludes it."""
    parts = []
    for column in columns:
        ratio = row.get("reported_ratio", {}).get(column["key"])
        measured = row.get("measured_ratio", {}).get(column["key"]) or {}
        low, high = measured.get("low"), measured.get("high")
        if None in (ratio, low, high) or abs(ratio - 1) < SAME_DIRECTION or not (high < 1 < ratio or ratio < 1 < low):
            continue
        here = f"{_times(measured['value'])} here ({_times(low)[:-1]}{numbers.DASH}{_times(high)})"
        # A column of reductions or increases has the quantity itself in its ratios.
        quantity = re.sub(r" (reduction|increase|kept)\b.*", "", column["title"])
        parts.append(f"{quantity} {_times(ratio)} reported, {here}")
    if not parts:
        return ""
    own = labels.get(row["technique"], row["technique"])
    named = row["name"] if own == row["name"] else f"{row['name']}, here {own},"
    over = _over(row, labels)
    held = over["there"] if over["there"] == over["here"] else f"{over['there']} there and {over['here']} here"
    return f"{named} goes the other way here, held against {held}: {'; '.join(parts)}."


def _choice(choice: dict[str, Any], comparison: dict[str, Any], labels: dict[str, str]) -> dict[str, str]:
    """Return a recommendation beside the winner of the same scenario here."""
    scenario = next((each for each in comparison["scenarios"] if each["name"] == choice["scenario"]), None)
    if scenario is None:
        ours, why = "", "not a scenario of this study"
    elif scenario["winner"] is None:
        ours, why = "", "no winner is named here" if rows.no_winner(comparison) else "no technique qualifies here"
    else:
        said = plainly.short(scenario)
        ours, why = (
            labels.get(scenario["winner"], scenario["winner"]),
            "; ".join(filter(None, (said, _chance(scenario)))),
        )
    return {
        "label": choice.get("label") or choice["scenario"],
        "reported": ", ".join(str(name) for name in choice["reported"]),
        "ours": ours,
        "why": why,
    }


def _chance(scenario: dict[str, Any]) -> str:
    found = next((each for each in scenario["ranked"] if each["technique"] == scenario["winner"]), None)
    return "" if found is None else f"chance of being the best {limits.chance(found['chance_best'])}"


def _top(reported: list[dict[str, Any]], comparison: dict[str, Any], labels: dict[str, str]) -> dict[str, str] | None:
    """Return their best three beside the best three of the ranking here; the two count different things."""
    if not reported:
        return None
    best = rows.ranked(comparison)[:TOP]
    return {
        "reported": ", ".join(f"{entry['name']} ({_overall(entry.get('overall_percent'))})" for entry in reported),
        "ours": ", ".join(labels.get(entry["technique"], entry["technique"]) for entry in best),
    }


def _overall(percent: float | None) -> str:
    return "no figure" if percent is None else f"{numbers.percent(percent)} overall, by its own count"


SECTION = Section("references", "References", 120, references, within="results")
