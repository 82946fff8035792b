"""The comparison as a table: one row a technique, units in the header names, for a spreadsheet."""

import csv
import io
from collections.abc import Callable
from typing import Any

from scripts.foundation.text import one_line

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
    "process_memory_mb": ("process_memory_bytes", MEGABYTE),
    "weights_mb": ("weight_bytes", MEGABYTE),
    "new_tokens_mean": ("new_tokens", 1),
    "acceptance_rate": ("acceptance_rate", 1),
    "drafted_kept": ("drafted_kept", 1),
    "fixed_latency_mean_s": ("fixed_latency_s", 1),
    "fixed_tpot_s": ("fixed_tpot_s", 1),
    "fixed_throughput_samples_per_s": ("fixed_throughput_samples_per_s", 1),
    "reference_nll_per_token_nats": ("reference_nll_per_token", 1),
    "mbu_datasheet": ("mbu_datasheet", 1),
    "mbu_measured": ("mbu_measured", 1),
    "mfu_datasheet": ("mfu_datasheet", 1),
    "mfu_measured": ("mfu_measured", 1),
    "energy_per_sample_j": ("energy_per_sample_j", 1),
}
BETWEEN_RUNS = {
    "latency_between_run_percent": "latency_s",
    "fixed_latency_between_run_percent": "fixed_latency_s",
}
VERDICTS = {
    "latency_verdict": "latency_change_percent",
    "fixed_latency_verdict": "fixed_latency_change_percent",
    "throughput_verdict": "throughput_change_percent",
    "rougeL_verdict": "quality_kept_percent_rougeL",
    "reference_nll_verdict": "reference_nll_change",
}
CHANGES = [
    "latency_change_percent",
    "fixed_latency_change_percent",
    "reference_nll_change",
    "throughput_change_percent",
    "peak_memory_change_percent",
    "weight_change_percent",
    "quality_kept_percent_rouge1",
    "quality_kept_percent_rouge2",
    "quality_kept_percent_rougeL",
    "quality_kept_percent_rougeLsum",
]
WITH_BOUNDS = {
    "latency_mean_s",
    "fixed_latency_mean_s",
    "rougeL_f1",
    "latency_change_percent",
    "fixed_latency_change_percent",
    "quality_kept_percent_rougeL",
}
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
    figures = technique["figures"]
    for column, (key, divisor) in FIGURES.items():
        _put(row, column, figures.get(key) or {}, lambda value, by=divisor: value / by)
    row |= _tail(figures.get("latency_p99_s") or {})
    for column, key in BETWEEN_RUNS.items():
        _put(row, column, {"value": (figures.get(key) or {}).get("between_run_percent")}, lambda value: value)
    _put(row, "price_per_1000", technique["price_per_1000"], lambda value: value)
    row["currency"] = inert(technique["price_per_1000"]["unit"]) if row["price_per_1000"] else ""
    row["flags"] = len(technique["flags"])
    for kind in ("parent", "baseline"):
        against = technique["changes"][kind]
        changed = against["figures"] or {}
        for key in CHANGES:
            _put(row, key, changed.get(key) or {}, lambda value: value, suffix=f"_vs_{kind}")
        for column, key in VERDICTS.items():
            row[f"{column}_vs_{kind}"] = (changed.get(key) or {}).get("verdict") or ""
        row[f"quality_kept_vs_{kind}"] = against["quality_kept"]["verdict"] or ""
    row["lossless_audit"] = (technique["matches"]["audit"] or {}).get("verdict") or ""
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
    row: dict[str, Any], column: str, figure: dict[str, Any], scale: Callable[[float], float], suffix: str = ""
) -> None:
    """Put a figure into a row, with its bounds where the table has columns for them."""
    ends = {"": "value", "_low": "low", "_high": "high"} if column in WITH_BOUNDS else {"": "value"}
    for ending, key in ends.items():
        value = figure.get(key)
        row[f"{column}{ending}{suffix}"] = "" if value is None else f"{scale(value):.10g}"
