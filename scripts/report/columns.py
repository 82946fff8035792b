"""Tables of figures: their columns, one unit and number of decimals for each, and their cells as text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scripts.report import numbers, rows
from scripts.report.numbers import Scale

PLAIN = [(1.0, "")]
PERCENT = [(0.01, "%")]
OPERATIONS = [(1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"), (1.0, "FLOP")]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        key: its figure.
        group, title: its header.
        units: those it may be shown in; None for the figure's own.
        better: which end is better, ``low`` or ``high``; empty where neither is.
        decimals: where they are fixed.
        spread: whether the spread between runs stands in its cells.
        alone: its name where no group stands above it.
    """

    key: str
    group: str
    title: str
    units: list[tuple[float, str]] | None
    better: str = ""
    decimals: int | None = None
    spread: bool = False
    alone: str = ""

    @property
    def name(self) -> str:
        """What the column is called where its group does not stand above it."""
        return self.alone or f"{self.title[:1].upper()}{self.title[1:]}"


RESULTS = (
    Column("latency_s", "Latency", "mean", numbers.TIME, "low", spread=True, alone="Latency"),
    Column("latency_p99_s", "Latency", "P99", numbers.TIME, "low"),
    Column("ttft_s", "Latency", "TTFT", numbers.TIME, "low"),
    Column("tpot_s", "Latency", "TPOT", numbers.TIME, "low"),
    Column("fixed_latency_s", "Fixed length", "mean", numbers.TIME, "low", spread=True, alone="Latency, fixed length"),
    Column("fixed_tpot_s", "Fixed length", "TPOT", numbers.TIME, "low", alone="TPOT, fixed length"),
    Column("throughput_samples_per_s", "Throughput", "samples/s", PLAIN, "high"),
    Column("throughput_tokens_per_s", "Throughput", "tokens/s", PLAIN, "high"),
    Column("peak_memory_bytes", "Memory", "peak", numbers.BYTES, "low"),
    Column("rouge1", "Quality (ROUGE F1; NLL)", "1", PLAIN, "high", 3, alone="ROUGE-1"),
    Column("rouge2", "Quality (ROUGE F1; NLL)", "2", PLAIN, "high", 3, alone="ROUGE-2"),
    Column("rougeL", "Quality (ROUGE F1; NLL)", "L", PLAIN, "high", 3, alone="ROUGE-L"),
    Column(
        "reference_nll_per_token",
        "Quality (ROUGE F1; NLL)",
        "NLL",
        [(1.0, "nats/token")],
        "low",
        3,
        alone="Reference NLL",
    ),
)
MORE = (
    Column("rougeLsum", "Headlines", "ROUGE-Lsum", PLAIN, decimals=3),
    Column("copied_share", "Headlines", "copied words", PERCENT, decimals=1),
    Column("same_headlines", "Headlines", "same as parent", PERCENT, decimals=1),
    Column("semantic_similarity", "Headlines", "semantic similarity", PLAIN, decimals=3),
    Column("empty_share", "Headlines", "empty", PERCENT, decimals=1),
    Column("stop_length_share", "Headlines", "runaway", PERCENT, decimals=1),
    Column("new_tokens", "Headlines", "new tokens", PLAIN),
    Column("weight_bytes", "Machine", "weights", numbers.BYTES),
    Column("energy_per_sample_j", "Machine", "energy a headline", [(1.0, "J")]),
    Column("price_per_1000", "Machine", "price of 1,000", None),
    Column("mbu_measured", "Machine", "MBU", PERCENT, decimals=2),
    Column("mfu_measured", "Machine", "MFU", PERCENT, decimals=2),
    Column("greedy_agreement", "Machine", "greedy", PERCENT, decimals=1),
)
CHANGES = {
    "latency_change_percent": "latency",
    "peak_memory_change_percent": "memory",
    "quality_kept_percent_rougeL": "ROUGE-L kept",
}
TONES = {
    **dict.fromkeys(("faster", "better", "higher", "kept", "identical"), "good"),
    **dict.fromkeys(("slower", "worse", "lower", "not kept", "error", "tie"), "bad"),
}


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
    """Return one cell of a change in percent: value, interval, verdict, and its tone (good, bad, unclear or none)."""
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
        "tone": tone(verdict),
        "note": figure["note"] or "",
    }


def tone(verdict: str | None) -> str:
    """Return how a verdict is coloured."""
    return TONES.get(verdict or "", "unclear" if verdict else "")


def ratio_texts(value: float | None, low: float | None = None, high: float | None = None) -> tuple[str, str]:
    """Return a ratio with three digits and its interval with as many decimals, e.g. ``0.422x``."""
    if value is None:
        return numbers.NOTHING, ""
    scale = Scale("", 1.0, min(numbers.digits_after_point(value, 3), 3) if value > 0 else 2)
    return f"{scale.show(value)}{numbers.TIMES}", scale.interval(low, high)
