"""Tables of figures: their columns, one unit and number of decimals for each, and their cells as text."""

from collections.abc import Sequence
from typing import Any

from scripts.comparison import verdicts
from scripts.report import factors, numbers, rows
from scripts.report.column import PERCENT as PERCENT
from scripts.report.column import PLAIN as PLAIN
from scripts.report.column import Column
from scripts.report.numbers import Scale

TONES = {
    **dict.fromkeys(("faster", "better", "higher", "kept", "identical", "smaller"), "good"),
    **dict.fromkeys(("slower", "worse", "lower", "not kept", "error", "larger"), "bad"),
}

BLANK_CHANGE = {"text": numbers.NOTHING, "interval": "", "verdict": "", "tone": "", "note": ""}


def scales(columns: Sequence[Column], techniques: list[dict[str, Any]]) -> dict[str, Scale]:
    """Choose the unit and the decimals of each column from all of its values."""
    chosen = {}
    for column in columns:
        found = [rows.figure(technique, column.key) for technique in techniques]
        units = column.units or [(1.0, next((figure["unit"] for figure in found), ""))]
        scale = numbers.column_scale([figure["value"] for figure in found], units)
        chosen[column.key] = scale if column.decimals is None else Scale(scale.unit, scale.size, column.decimals)
    # Mean and P99 are read against each other.
    if "latency_p99_s" in chosen:
        chosen["latency_p99_s"] = chosen["latency_s"]
    # So are predicted and measured time, however far apart they are.
    predicted, measured = "predicted_time_per_sample_s", chosen.get(rows.PER_SAMPLE)
    if predicted in chosen and measured:
        found = [rows.figure(technique, predicted)["value"] for technique in techniques]
        chosen[predicted] = numbers.column_scale(found, [(measured.size, measured.unit)])
    return chosen


def heads(columns: Sequence[Column], chosen: dict[str, Scale]) -> list[dict[str, Any]]:
    """Return the header groups, each with its columns; units stand in the headers, not in the cells."""
    groups: list[dict[str, Any]] = []
    for column in columns:
        if not groups or groups[-1]["title"] != column.group:
            groups.append({"title": column.group, "columns": []})
        groups[-1]["columns"].append({"title": column.title, "unit": chosen[column.key].unit})
    return groups


def best_values(columns: Sequence[Column], techniques: list[dict[str, Any]]) -> dict[str, float]:
    """Return the best value of each column in which techniques differ and one end is better."""
    best = {}
    for column in columns:
        known = [rows.figure(technique, column.key)["value"] for technique in techniques]
        known = [value for value in known if value is not None]
        if column.better and len(set(known)) > 1:
            best[column.key] = min(known) if column.better == "low" else max(known)
    return best


def table(columns: Sequence[Column], techniques: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a table of the techniques that ran; a column without any value is named below it, with the reason.

    Returns:
        ``groups`` of headers, ``rows`` with their ``cells``, and ``notes``: why figures have no value.
    """
    shown = rows.ran(techniques)
    kept = [column for column in columns if any(rows.figure(t, column.key)["value"] is not None for t in shown)]
    chosen = scales(kept, shown)
    cells = [
        rows.head(technique)
        | {"cells": [cell(rows.figure(technique, column.key), chosen[column.key]) for column in kept]}
        for technique in shown
    ]
    return {"groups": heads(kept, chosen), "rows": cells, "notes": notes(columns, shown)}


def notes(columns: Sequence[Column], techniques: list[dict[str, Any]]) -> list[str]:
    """Return why figures of the columns have no value, a line a reason."""
    return rows.missing_lines(
        [(column.name, [(t["label"], rows.figure(t, column.key)) for t in techniques]) for column in columns]
    )


def cell(figure: dict[str, Any], scale: Scale, best: float | None = None, spread: bool = False) -> dict[str, Any]:
    """Return one cell: the value, its interval, the note behind a dash, and whether it is the best of its column."""
    between = figure.get("between_run_percent") if spread else None
    return {
        "text": scale.show(figure["value"]),
        "interval": scale.interval(figure["low"], figure["high"]) if figure["value"] is not None else "",
        "spread": "" if between is None else f"\N{PLUS-MINUS SIGN}{numbers.fixed(between, 1)}%",
        "note": figure["note"] or "",
        "best": figure["value"] is not None and figure["value"] == best,
        "n": figure["n"],
    }


def change_cell(figure: dict[str, Any] | None, key: str) -> dict[str, Any]:
    """Return one cell of a change: a factor, or what is kept in percent; interval, verdict and its tone.

    The tone is good, bad, unclear or none.
    """
    if figure is None or figure["value"] is None:
        return BLANK_CHANGE | {"note": (figure or {}).get("note") or ""}
    text, interval = factors.texts(figure, key)
    # How much ROUGE-L is left is a part of what decides on quality, whose verdict stands by itself.
    verdict = None if factors.form(key) == factors.KEPT else figure.get("verdict")
    return {
        "text": text,
        "interval": interval,
        "verdict": verdict or "",
        "tone": tone(verdict),
        "note": figure["note"] or "",
    }


def percent_cell(figure: dict[str, Any] | None) -> dict[str, Any]:
    """Return one cell of a change since another study: in percent, as its bounds are."""
    if figure is None or figure["value"] is None:
        return BLANK_CHANGE | {"note": (figure or {}).get("note") or ""}
    return {
        "text": numbers.percent(figure["value"]),
        "interval": "" if figure["low"] == figure["high"] else numbers.percent_interval(figure["low"], figure["high"]),
        "verdict": figure.get("verdict") or "",
        "tone": tone(figure.get("verdict")),
        "note": figure["note"] or "",
    }


def quality(change: dict[str, Any]) -> dict[str, str]:
    """Return the verdict on quality as every part of the report shows it: tone, reason, and where it is, "same text".

    Args:
        change: a technique's changes against its parent or the baseline; ``quality_kept`` of them has decided.
    """
    kept = change["quality_kept"]
    return {
        "verdict": kept["verdict"] or "",
        "tone": tone(kept["verdict"]),
        "reason": kept["reason"],
        "same_text": verdicts.SAME_TEXT if change["same_text"] else "",
    }


def tone(verdict: str | None) -> str:
    """Return how a verdict is coloured."""
    return TONES.get(verdict or "", "unclear" if verdict else "")
