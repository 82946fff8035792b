"""The columns of the results table, and its cells as text."""

from dataclasses import dataclass
from typing import Any

from scripts.report import numbers
from scripts.report.numbers import Scale

PLAIN = [(1.0, "")]


@dataclass(frozen=True)
class Column:
    """One column: its figure, its group and header, the units it may be shown in, and which end of it is better."""

    key: str
    group: str
    title: str
    units: list[tuple[float, str]]
    better: str
    decimals: int | None = None


COLUMNS = [
    Column("latency_s", "Latency", "mean", numbers.TIME, "low"),
    Column("latency_p99_s", "Latency", "P99", numbers.TIME, "low"),
    Column("ttft_s", "Latency", "TTFT", numbers.TIME, "low"),
    Column("tpot_s", "Latency", "TPOT", numbers.TIME, "low"),
    Column("throughput_samples_per_s", "Throughput", "samples/s", PLAIN, "high"),
    Column("throughput_tokens_per_s", "Throughput", "tokens/s", PLAIN, "high"),
    Column("peak_memory_bytes", "Memory", "peak", numbers.BYTES, "low"),
    Column("weight_bytes", "Memory", "weights", numbers.BYTES, "low"),
    Column("rouge1", "Quality (ROUGE F1)", "1", PLAIN, "high", 3),
    Column("rouge2", "Quality (ROUGE F1)", "2", PLAIN, "high", 3),
    Column("rougeL", "Quality (ROUGE F1)", "L", PLAIN, "high", 3),
    Column("rougeLsum", "Quality (ROUGE F1)", "Lsum", PLAIN, "high", 3),
]
CHANGES = {
    "latency_change_percent": "latency",
    "peak_memory_change_percent": "memory",
    "quality_kept_percent_rougeL": "ROUGE-L kept",
}


def scales(techniques: list[dict[str, Any]]) -> dict[str, Scale]:
    """Choose the unit and the decimals of each column from all of its values."""
    chosen = {}
    for column in COLUMNS:
        scale = numbers.column_scale(
            [technique["figures"][column.key]["value"] for technique in techniques], column.units
        )
        chosen[column.key] = scale if column.decimals is None else Scale(scale.unit, scale.size, column.decimals)
    # Mean and P99 are read against each other.
    chosen["latency_p99_s"] = chosen["latency_s"]
    return chosen


def heads(chosen: dict[str, Scale]) -> list[dict[str, Any]]:
    """Return the header groups, each with its columns; units stand in the headers, not in the cells."""
    groups: list[dict[str, Any]] = []
    for column in COLUMNS:
        if not groups or groups[-1]["title"] != column.group:
            groups.append({"title": column.group, "columns": []})
        groups[-1]["columns"].append({"title": column.title, "unit": chosen[column.key].unit})
    return groups


def best_values(techniques: list[dict[str, Any]]) -> dict[str, float]:
    """Return the best value of each column in which techniques differ."""
    best = {}
    for column in COLUMNS:
        known = [technique["figures"][column.key]["value"] for technique in techniques]
        known = [value for value in known if value is not None]
        if len(set(known)) > 1:
            best[column.key] = min(known) if column.better == "low" else max(known)
    return best


def cell(figure: dict[str, Any], scale: Scale, best: float | None) -> dict[str, Any]:
    """Return one cell: the value, its interval, the note behind a dash, and whether it is the best of its column."""
    return {
        "text": scale.show(figure["value"]),
        "interval": scale.interval(figure["low"], figure["high"]) if figure["value"] is not None else "",
        "note": figure["note"] if figure["value"] is None else "",
        "best": figure["value"] is not None and figure["value"] == best,
        "n": figure["n"],
    }


def change_cell(figure: dict[str, Any] | None, key: str) -> dict[str, Any]:
    """Return one cell of a change: value, interval, verdict in words, and its tone (good, bad, unclear or none)."""
    if figure is None or figure["value"] is None:
        return {
            "text": numbers.NOTHING,
            "interval": "",
            "verdict": "",
            "tone": "",
            "note": (figure or {}).get("note") or "",
        }
    kept = key.startswith("quality_kept")
    text = f"{numbers.fixed(figure['value'], 1)}%" if kept else numbers.percent(figure["value"])
    verdict = figure.get("gate") if kept else figure.get("verdict")
    return {
        "text": text,
        "interval": numbers.percent_interval(figure["low"], figure["high"], signed=not kept),
        "verdict": verdict or "",
        "tone": _tone(verdict),
        "note": figure["note"] or "",
    }


def _tone(verdict: str | None) -> str:
    tones = {"faster": "good", "kept": "good", "higher": "good", "slower": "bad", "lower": "bad", "not kept": "bad"}
    return tones.get(verdict or "", "unclear" if verdict else "")
