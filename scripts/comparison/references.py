"""Figures of published reference studies next to this study's own.

Both are ratios within their own study, since models, data and machines differ; a row names what its figures are
relative to, there and here, where that is not the baseline. A ratio of latency or memory
below 1 is less of it; one of throughput or quality above 1 is more.
"""

from dataclasses import dataclass
from typing import Any

from scripts.comparison import changes
from scripts.comparison.columns import Columns
from scripts.comparison.loading import Metrics
from scripts.comparison.rounding import significant
from scripts.metrics import registry
from scripts.metrics.entry import Entry
from scripts.metrics.figures import value_of

Row = dict[str, Any]


# How many of a unit make one of the unit that this study's figures have: by what is measured.
UNITS = {
    "s": {"s": 1.0, "ms": 1e3},
    "B": {"B": 1.0, "MB": 1e-6, "MiB": 2.0**-20, "GB": 1e-9, "GiB": 2.0**-30},
    "samples/s": {"samples/s": 1.0},
    "1": {"1": 1.0, "%": 100.0},
}
# Percent of a change against another, from a ratio to it, and back.
FORMS = {
    "percent_less": (lambda ratio: 100 * (1 - ratio), lambda percent: 1 - percent / 100),
    "percent_more": (lambda ratio: 100 * (ratio - 1), lambda percent: 1 + percent / 100),
    "percent_kept": (lambda ratio: 100 * ratio, lambda percent: percent / 100),
}
NO_NUMBER = "no number was reported"


def references(study: dict[str, Any], rows: list[Row], metrics: Metrics, compared: Columns) -> list[dict[str, Any]]:
    """Put the tables of reference studies beside this study's figures.

    Args:
        study: ``references`` as :mod:`scripts.study.references` reads them, and ``baseline``.
        rows: the techniques of the comparison, with their figures and changes.
        metrics: per technique the content of its metrics file.
        compared: of all techniques that ran.

    Returns:
        One entry a reference study. ``against`` of a row names what both of its ratios are over, there (``name``) and
        here (``technique``). Where a row has no value, ``reasons`` says why, by what lacks it and by column.
    """
    here = Here({row["name"]: row for row in rows}, study.get("baseline"), metrics, compared)
    return [_reference(reference, here) for reference in study.get("references") or []]


@dataclass(frozen=True)
class Here:
    """This study: its techniques by name, its baseline, and the inputs of changes between any two."""

    rows: dict[str, Row]
    baseline: str | None
    metrics: Metrics
    columns: Columns

    def changes(self, name: str, other: str) -> Row | str:
        """Return the changes of a technique that ran against another, or why there are none."""
        change = next((each for each in self.rows[name]["changes"].values() if each["against"] == other), None)
        if change is not None:
            return change["figures"] or change["reason"]
        return changes.changes(self.metrics[name], self.metrics[other], self.columns)


def _reference(reference: dict[str, Any], here: Here) -> dict[str, Any]:
    columns = reference["columns"]
    known = {row["name"]: row.get("technique") for row in reference["rows"]}
    fields = ("id", "title", "date", "model", "dataset", "environment", "prompt", "note")
    return {
        **{key: reference.get(key) for key in fields},
        "faults": reference.get("faults") or [],
        "columns": [
            {key: column[key] for key in ("key", "title", "unit", "better", "measures", "form")} for column in columns
        ],
        "rows": [_row(row, reference, here) for row in reference["rows"]],
        "choices": [
            {
                "scenario": choice["scenario"],
                "label": choice["label"],
                "reported": choice["recommended"],
                "techniques": [known.get(name) for name in choice["recommended"]],
                "ours": None,
            }
            for choice in reference.get("choices") or []
        ],
        "top_three": [entry | {"technique": known.get(entry["name"])} for entry in reference.get("top_three") or []],
    }


def _measured_by(column: Row) -> Entry:
    """Return this study's figure of what a column holds."""
    return next(entry for entry in registry.entries() if entry.study == column["measures"])


def _row(row: dict[str, Any], reference: dict[str, Any], here: Here) -> dict[str, Any]:
    """Return a row of a reference study's table; values are None where the same part of ``reasons`` says why."""
    columns = reference["columns"]
    against = row.get("against") or {"name": reference.get("baseline"), "technique": here.baseline}
    base = next((each for each in reference["rows"] if each["name"] == against["name"]), None)
    parts: dict[str, dict[str, Any]] = {"reported_ratio": {}, "measured": {}, "measured_ratio": {}}
    name = row.get("technique")
    absent = _absence(row, here.rows)
    for column in columns:
        key = column["key"]
        parts["reported_ratio"][key] = _reported_ratio(row, base, column)
        ratio = absent or _measured_ratio(name, against["technique"], _measured_by(column), here)
        parts["measured_ratio"][key] = ratio
        parts["measured"][key] = absent or _measured(here.rows[name], ratio, column)
    return {
        "name": row["name"],
        "technique": name,
        "against": against,
        "why_none": row.get("why_none"),
        "reported": {column["key"]: row["reported"].get(column["key"]) for column in columns},
        **{part: {key: None if isinstance(v, str) else v for key, v in found.items()} for part, found in parts.items()},
        "reasons": {part: {key: v for key, v in found.items() if isinstance(v, str)} for part, found in parts.items()},
        "note": row.get("note"),
    }


def _absence(row: dict[str, Any], ours: dict[str, Row]) -> str | None:
    """Why nothing measured here corresponds to this row, or None."""
    name = row.get("technique")
    if name is None:
        return row.get("why_none") or "this project has no such technique"
    if name not in ours:
        return f"this study has no technique '{name}'"
    if ours[name]["status"] != "ok":
        return f"{ours[name]['status'].replace('_', ' ')}: {ours[name]['reason'] or 'no reason was recorded'}"
    return None


def _reported_ratio(row: dict[str, Any], base: dict[str, Any] | None, column: Row) -> float | str:
    """Return the ratio of a reported figure to its study's reference row, or why there is none."""
    key, form = column["key"], column["form"]
    said = (row.get("ratios") or {}).get(key)
    if said is not None:
        return float(said)
    why = (row.get("why_no_ratio") or {}).get(key)
    value = row["reported"].get(key)
    if why or not _is_number(value):
        return why or NO_NUMBER
    if form == "as_printed":
        return "what the printed number means is not said"
    if form != "absolute":
        return significant(FORMS[form][1](value))
    own = base["reported"].get(key) if base else None
    if not _is_number(own) or own <= 0:
        return "what it is held against has no such figure"
    return significant(value / own)


def _measured_ratio(name: str, other: str | None, measure: Entry, here: Here) -> dict[str, float | None] | str:
    """Return a technique's figure over that of another here, with its 95% interval, or why there is none."""
    figure = here.rows[name]["figures"].get(measure.key) or {}
    if figure.get("value") is None:
        return figure.get("note") or "not measured"
    if name == other:
        return {"value": 1.0, "low": None, "high": None}
    theirs = here.rows.get(other or "")
    if theirs is None or theirs["status"] != "ok":
        return f"'{other}', which it is held against, has no figures here" if other else "this study has no baseline"
    figures = here.changes(name, theirs["name"])
    if isinstance(figures, str):
        return figures
    change = (figures.get(measure.change.key) or {}) if measure.change else {}
    if change.get("ratio") is not None:
        return {"value": change["ratio"], "low": change["ratio_low"], "high": change["ratio_high"]}
    # Percentiles and memory have no such change with an interval, but their two values.
    value = value_of(theirs, measure.key)
    if value:
        return {"value": figure["value"] / value, "low": None, "high": None}
    return change.get("note") or "what it is held against has no such figure"


def _measured(ours: Row, ratio: dict[str, float | None] | str, column: Row) -> float | str:
    """Return a technique's figure in the form of a column, or why there is none."""
    form = column["form"]
    if form == "as_printed":
        return "the column's figures have no fixed meaning; the ratios compare"
    if form in FORMS:
        return ratio if isinstance(ratio, str) else FORMS[form][0](ratio["value"])
    figure = ours["figures"].get(_measured_by(column).key) or {}
    if figure.get("value") is None:
        return figure.get("note") or "not measured"
    size = UNITS.get(figure["unit"], {}).get(column["unit"])
    return figure["value"] * size if size else f"measured in {figure['unit']}, which is not the unit of this column"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
