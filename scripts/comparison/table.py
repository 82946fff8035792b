"""The comparison as a table: one row a technique, units in the header names, for a spreadsheet."""

import csv
import io
from typing import Any

from scripts.comparison import costs, matches
from scripts.foundation.text import one_line
from scripts.metrics import registry

MEGABYTE = 1_000_000
# The full-width forms too: some spreadsheets take them for the plain ones.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def table(comparison: dict[str, Any]) -> str:
    """Return comparison.csv as text; a figure that is not there is an empty cell."""
    rows = [_row(technique) for technique in comparison["techniques"]]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def inert(value: Any) -> Any:
    """Make text plain: control characters by their names, and what a spreadsheet would take for a formula quoted.

    A formula gets a leading apostrophe (OWASP's advice).
    """
    if not isinstance(value, str):
        return value
    # Spreadsheets skip leading blanks before they look for a formula.
    is_formula = value.startswith(FORMULA_STARTS) or value.lstrip().startswith(FORMULA_STARTS)
    return f"'{one_line(value)}" if is_formula else one_line(value)


def _row(technique: dict[str, Any]) -> dict[str, Any]:
    texts = ("name", "label", "parent", "status", "reason")
    row = {f"{'technique' if key == 'name' else key}": inert(technique[key] or "") for key in texts}
    row |= {"samples": technique["sample_count"], "runs": technique["run_count"], "batch_size": technique["batch_size"]}
    figures, entries = technique["figures"], registry.entries()
    for entry in sorted((entry for entry in entries if entry.csv), key=lambda entry: not entry.study):
        divisor = MEGABYTE if entry.unit == "B" else 1
        _put(row, entry.csv, figures.get(entry.key) or {}, entry.bounds, divisor=divisor)
    row |= _tail(figures.get("latency_p99_s") or {})
    for entry in entries:
        if entry.spread:
            between = (figures.get(entry.key) or {}).get("between_run_percent")
            _put(row, f"{entry.key.removesuffix('_s')}_between_run_percent", {"value": between})
    _put(row, costs.COST.csv, technique["cost_per_million"])
    row["currency"] = inert(technique["cost_per_million"]["unit"]) if row[costs.COST.csv] else ""
    row["flags"] = len(technique["flags"])
    for kind in ("parent", "baseline"):
        against = technique["changes"][kind]
        changed = against["figures"] or {}
        for key, entry in registry.changes().items():
            if entry.change.csv:
                _put(row, key, changed.get(key) or {}, entry.bounds, suffix=f"_vs_{kind}")
        for key, entry in registry.changes().items():
            if entry.change.verdict:
                row[f"{entry.change.verdict}_vs_{kind}"] = (changed.get(key) or {}).get("verdict") or ""
        row[f"quality_kept_vs_{kind}"] = against["quality_kept"]["verdict"] or ""
    row[matches.AUDIT.csv] = (technique["matches"]["audit"] or {}).get("verdict") or ""
    return row


def _tail(figure: dict[str, Any]) -> dict[str, Any]:
    """Say what ``latency_p99_s`` is (a percentile, or the slowest request), of how many, and which one ran away."""
    slowest = figure.get("slowest") or {}
    runaway = f"prompt {slowest['prompt'] + 1}, {slowest['new_tokens']} tokens" if slowest.get("runaway") else ""
    return {
        "latency_p99_statistic": figure.get("statistic") or "",
        "latency_p99_requests": figure.get("requests") or "",
        "latency_p99_runaway": runaway,
    }


def _put(
    row: dict[str, Any], column: str, figure: dict[str, Any], bounds: bool = False, divisor: int = 1, suffix: str = ""
) -> None:
    """Put a figure into a row, with the ends of its interval where the table has them."""
    ends = {"": "value", "_low": "low", "_high": "high"} if bounds else {"": "value"}
    for ending, key in ends.items():
        value = figure.get(key)
        row[f"{column}{ending}{suffix}"] = "" if value is None else f"{value / divisor:.10g}"
