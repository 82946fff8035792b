"""The comparison as a table: one row a technique, units in the header names, for a spreadsheet."""

import csv
import io
from collections.abc import Callable
from typing import Any

MEGABYTE = 1_000_000
# Column -> (figure, divisor). The first eight are the columns of the reference studies.
FIGURES = {
    "latency_mean_s": ("latency_s", 1),
    "latency_p99_s": ("latency_p99_s", 1),
    "throughput_samples_per_s": ("throughput_samples_per_s", 1),
    "peak_memory_mb": ("peak_memory_bytes", MEGABYTE),
    "rouge1_f1": ("rouge1", 1),
    "rouge2_f1": ("rouge2", 1),
    "rougeL_f1": ("rougeL", 1),
    "rougeLsum_f1": ("rougeLsum", 1),
    "latency_p50_s": ("latency_p50_s", 1),
    "latency_p90_s": ("latency_p90_s", 1),
    "ttft_s": ("ttft_s", 1),
    "tpot_s": ("tpot_s", 1),
    "throughput_tokens_per_s": ("throughput_tokens_per_s", 1),
    "load_peak_memory_mb": ("load_peak_memory_bytes", MEGABYTE),
    "weights_mb": ("weight_bytes", MEGABYTE),
    "new_tokens_mean": ("new_tokens", 1),
    "acceptance_rate": ("acceptance_rate", 1),
    "drafted_kept": ("drafted_kept", 1),
}
CHANGES = [
    "latency_change_percent",
    "throughput_change_percent",
    "peak_memory_change_percent",
    "weight_change_percent",
    "quality_kept_percent_rouge1",
    "quality_kept_percent_rouge2",
    "quality_kept_percent_rougeL",
    "quality_kept_percent_rougeLsum",
]
WITH_BOUNDS = {"latency_mean_s", "rougeL_f1", "latency_change_percent", "quality_kept_percent_rougeL"}
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def table(comparison: dict[str, Any]) -> str:
    """Return comparison.csv as text; a figure that is not there is an empty cell."""
    rows = [_row(technique) for technique in comparison["techniques"]]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def inert(value: Any) -> Any:
    """Make text that a spreadsheet would take for a formula plain text, with a leading apostrophe (OWASP's advice)."""
    if not isinstance(value, str):
        return value
    # Spreadsheets skip leading blanks before they look for a formula.
    return f"'{value}" if value.lstrip(" ").startswith(FORMULA_STARTS) else value


def _row(technique: dict[str, Any]) -> dict[str, Any]:
    texts = ("name", "label", "parent", "status", "reason")
    row = {f"{'technique' if key == 'name' else key}": inert(technique[key] or "") for key in texts}
    row |= {"samples": technique["sample_count"], "runs": technique["run_count"], "batch_size": technique["batch_size"]}
    for column, (key, divisor) in FIGURES.items():
        _put(row, column, technique["figures"][key], lambda value, by=divisor: value / by)
    for kind in ("parent", "baseline"):
        figures = technique["changes"][kind]["figures"] or {}
        for key in CHANGES:
            _put(row, key, figures.get(key) or {}, lambda value: value, suffix=f"_vs_{kind}")
    return row


def _put(
    row: dict[str, Any], column: str, figure: dict[str, Any], scale: Callable[[float], float], suffix: str = ""
) -> None:
    """Put a figure into a row, with its bounds where the table has columns for them."""
    ends = {"": "value", "_low": "low", "_high": "high"} if column in WITH_BOUNDS else {"": "value"}
    for ending, key in ends.items():
        value = figure.get(key)
        row[f"{column}{ending}{suffix}"] = "" if value is None else f"{scale(value):.10g}"
