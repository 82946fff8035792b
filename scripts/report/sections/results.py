"""The results table: every figure of every technique, and what raises doubts about them."""

from typing import Any

from scripts.comparison.verdicts import GATED
from scripts.metrics import registry
from scripts.metrics.figures import ONE_READING
from scripts.report import beside, columns, factors, numbers, results_columns, rows, tail
from scripts.report import measured as measured_words
from scripts.report.column import Column
from scripts.report.numbers import Scale
from scripts.report.results_columns import QUALITY, measured
from scripts.report.section import Section
from scripts.report.sections import lossless
from scripts.report.text import Safe

CHIPS = ("good", "bad")
SHORT = (
    Column("latency_s", "", "Latency", numbers.TIME),
    Column("latency_p99_s", "", "P99", numbers.TIME),
    Column("throughput_samples_per_s", "", "Samples/s", columns.PLAIN),
    Column("peak_memory_bytes", "", "Peak memory", numbers.BYTES),
    Column("rougeL", "", "ROUGE-L", columns.PLAIN, decimals=3),
)
SHORT_CHANGES = ("latency_change_percent", "peak_memory_change_percent", GATED)
BLANK = {"interval": "", "spread": "", "verdict": "", "tone": "", "note": "", "best": False, "chip": False}


def results(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return the results table with its notes, and the ``doubts`` about techniques.

    Every column that a reader can choose is there, those shown at first marked ``main``.
    """
    techniques = comparison["techniques"]
    shown = results_columns.of(comparison)
    scales = columns.scales(measured(), techniques)
    best = columns.best_values(measured(), techniques)
    heads = results_columns.heads(shown, _names(techniques), scales, _units(techniques))
    return {
        "columns": heads,
        "groups": results_columns.groups(heads),
        "main": sum(column.main for column in shown),
        "baseline_reason": comparison["baseline"]["reason"] or "",
        "rows": [_row(comparison, technique, shown, scales, best) for technique in techniques],
        "methods": _methods(rows.ran(techniques), shown, heads),
        "semantic_model": _model(techniques, "semantic_model"),
        "entailment_model": _model(techniques, "entailment_model"),
        "bertscore_model": _model(techniques, "bertscore_model"),
        "notes": [*beside.lines(comparison), *notes(techniques)],
        "doubts": doubts(techniques),
    }


def doubts(techniques: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return the sentences of every technique that has a flag."""
    return [
        {"name": technique["name"], "label": technique["label"], "message": " ".join(flag["message"] for flag in flags)}
        for technique in techniques
        if (flags := rows.flags(technique))
    ]


def notes(techniques: list[dict[str, Any]]) -> list[str]:
    """Return what must be known beside the figures of the table, each once."""
    ran = rows.ran(techniques)
    titles = {tail.KEY: tail.title(techniques), "latency_s": "Intervals", "peak_memory_bytes": "Peak memory"}
    found_notes = {(title, t["figures"][key]["note"]): None for key, title in titles.items() for t in ran}
    found = [f"{title}: {note}." for title, note in found_notes if note and note != ONE_READING]
    found += tail.lines(techniques)
    for technique in ran:
        if technique["tokens_differ_between_runs"]:
            count = technique["tokens_differ_between_runs"]
            found.append(
                f"{technique['label']}: {count} prompts gave other tokens in another run; quality is of run 1."
            )
    rounded = [(t["label"], measured_words.rounding(t)) for t in ran]
    found += [f"{label}: {told}" for label, told in rounded if told]
    if results_columns.same_summary(ran) and any(rows.figure(t, "rougeL")["value"] is not None for t in ran):
        found.append("ROUGE-Lsum is ROUGE-L here, as every headline is one line; it has no column of its own.")
    found += columns.notes(measured(), ran)
    if ran and all(technique["run_count"] == 1 for technique in ran):
        found.append("Each technique ran once, so the spread from run to run is not known.")
    return found


def _row(
    comparison: dict[str, Any],
    technique: dict[str, Any],
    shown: list[Column],
    scales: dict[str, Scale],
    best: dict[str, float],
) -> dict[str, Any]:
    ok = technique["status"] == "ok"
    return rows.head(technique) | {
        "baseline": technique["name"] == comparison["baseline"]["name"],
        "batch": "" if technique["batch_size"] in (None, 1) else f"batch {technique['batch_size']}",
        "flags": rows.flags(technique),
        "cells": [_cell(technique, column, scales, best) for column in shown] if ok else [],
    }


def _cell(
    technique: dict[str, Any], column: Column, scales: dict[str, Scale], best: dict[str, float]
) -> dict[str, Any]:
    """Return one cell: its text, and ``value``, the raw one that rows are sorted by."""
    if column.kind == "word":
        return BLANK | (_quality_cell(technique) if column.key == QUALITY else _audit_cell(technique))
    if column.kind == "change":
        figure = _figure(technique, column)
        cell = columns.change_cell(figure, column.key)
        if figure is None:
            cell["note"] = technique["changes"]["baseline"]["reason"] or ""
        cell["chip"] = cell["tone"] in CHIPS
        value = _raw(figure, column.key)
    elif column.kind == "since":
        figure = _figure(technique, column)
        cell = columns.percent_cell(figure)
        cell["chip"] = cell["tone"] in CHIPS
        value = figure and figure["value"]
    else:
        figure = _figure(technique, column)
        cell = columns.cell(figure, scales[column.key], best.get(column.key), column.spread)
        value = figure["value"]
    if column.key == tail.KEY and tail.runs_away(figure):
        cell |= {"spread": "a runaway", "note": "; ".join(filter(None, (cell["note"], tail.told(figure))))}
    found = figure or {"value": None, "n": 0, "interval": None}
    method = f"n = {found['n']}" + (f", {found['interval']}" if found["interval"] else "") if found["n"] else ""
    return BLANK | cell | {"value": value, "note": "; ".join(filter(None, (cell["note"], method)))}


def _figure(technique: dict[str, Any], column: Column) -> dict[str, Any] | None:
    """Return what a column shows of a technique: a figure, or a change, which there may be none of."""
    if column.kind == "since":
        return technique["since_previous"].get(column.key)
    if column.kind == "change":
        return (technique["changes"]["baseline"]["figures"] or {}).get(column.key)
    return rows.figure(technique, column.key)


def _raw(figure: dict[str, Any] | None, key: str) -> float | None:
    """Return what rows are sorted by: the number that the cell shows."""
    if figure is None or factors.form(key) in (factors.KEPT, factors.DIFFERENCE):
        return figure and figure["value"]
    return factors.factor(figure, key)[0]


def _quality_cell(technique: dict[str, Any]) -> dict[str, Any]:
    """Return the verdict on a technique's quality against the baseline as a cell, how much of ROUGE-L is left below."""
    change = technique["changes"]["baseline"]
    kept, score = columns.quality(change), columns.change_cell((change["figures"] or {}).get(GATED), GATED)["text"]
    rounded = measured_words.rounding(technique)
    below = kept["same_text"] or ("" if score == numbers.NOTHING else f"ROUGE-L {score}")
    return {
        "interval": f"{below}, by rounding" if below and rounded and not kept["same_text"] else below,
        "text": kept["verdict"] or numbers.NOTHING,
        "note": " ".join(filter(None, (kept["reason"], rounded))),
        "tone": kept["tone"],
        "chip": kept["tone"] in CHIPS,
        "value": kept["verdict"] or None,
    }


def _audit_cell(technique: dict[str, Any]) -> dict[str, Any]:
    """Return the lossless audit of a technique as a cell; one that promises nothing may differ from its parent."""
    match = technique["matches"]
    audit = match["audit"] or {}
    verdict = audit.get("verdict") or ""
    promised = verdict == "identical" or technique["lossless"]
    text = lossless.AUDITED.get(verdict, verdict) if promised else "may differ"
    if match.get("noise_apart"):
        text, promised = "does not apply", False
    return {
        "text": text if verdict else numbers.NOTHING,
        "note": lossless.OWN_NOISE if match.get("noise_apart") else audit.get("sentence") or match["reason"] or "",
        "tone": columns.tone(verdict) if promised else "",
        "chip": bool(verdict) and promised,
        "value": text if verdict else None,
    }


def _units(techniques: list[dict[str, Any]]) -> dict[str, str]:
    """Return the unit of each column's raw values."""
    units = {column.key: rows.figure(techniques[0], column.key)["unit"] for column in measured()} if techniques else {}
    kept = [column.key for column in results_columns.results() if column.kind == "change"]
    since = dict.fromkeys(results_columns.SINCE_KEYS, "%")
    return units | since | {key: "%" for key in kept if factors.form(key) == factors.KEPT}


def _methods(ran: list[dict[str, Any]], shown: list[Column], heads: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return per measured column on how many observations its figures rest, and how their intervals were made."""
    found = []
    for column, head in zip(shown, heads, strict=True):
        if column.kind == "word":
            continue
        figures = [_figure(t, column) for t in ran]
        known = [figure for figure in figures if figure and figure["value"] is not None]
        if known:
            counts = sorted({figure["n"] for figure in known})
            count = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
            methods = ", ".join(sorted({figure["interval"] for figure in known if figure["interval"]}))
            found.append((head["name"], f"n = {count}; {methods or 'no interval'}"))
    return found


def _names(techniques: list[dict[str, Any]]) -> dict[str, str]:
    """Return the names of columns that depend on the study."""
    length = _fixed_length(techniques)
    known = results_columns.results() if length else []
    fixed = {column.key: column.title.replace("fixed length", f"{length} tokens") for column in known}
    return fixed | {tail.KEY: tail.title(techniques)}


def _fixed_length(techniques: list[dict[str, Any]]) -> str:
    """Return how many new tokens every request of the fixed mode has, or nothing where that is not known."""
    lengths = {((technique["modes"] or {}).get("fixed") or {}).get("new_tokens") for technique in rows.ran(techniques)}
    return "/".join(str(length) for length in sorted(lengths - {None}))


def _model(techniques: list[dict[str, Any]], key: str) -> str:
    """Return the model that a score was made with: of the semantic similarity, the entailment or the BERTScore."""
    for technique in techniques:
        model = technique.get(key)
        if model:
            return ", ".join(str(value) for value in model.values()) if isinstance(model, dict) else str(model)
    return ""


def short(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return the table of the Markdown report, and the techniques that have no figures."""
    techniques = comparison["techniques"]
    labels = {technique["name"]: technique["label"] for technique in techniques}
    return {
        "heads": _heads(techniques),
        "rows": _short_rows(techniques),
        "beside": [*beside.lines(comparison), *tail.lines(techniques)],
        "baseline": labels.get(comparison["baseline"]["name"], "") if not comparison["baseline"]["reason"] else "",
        "changes": [*(Safe(registry.changes()[key].change.label) for key in SHORT_CHANGES), Safe("Quality kept")],
        "absent": [_absent(technique) for technique in techniques if technique["status"] != "ok"],
    }


def _heads(techniques: list[dict[str, Any]]) -> list[Safe | str]:
    scales = columns.scales(SHORT, rows.ran(techniques))
    names = {c.key: c.title for c in SHORT} | {tail.KEY: tail.title(techniques)}
    return [f"{names[c.key]} ({scales[c.key].unit})" if scales[c.key].unit else Safe(names[c.key]) for c in SHORT]


def _short_rows(techniques: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the techniques that ran with their figures, and their changes against the baseline with the verdicts."""
    ran = rows.ran(techniques)
    scales = columns.scales(SHORT, ran)
    found = []
    for technique in ran:
        against = technique["changes"]["baseline"]["figures"] or {}
        changes = [columns.change_cell(against.get(key), key) for key in SHORT_CHANGES]
        kept = columns.quality(technique["changes"]["baseline"])
        found.append(
            {
                "label": technique["label"],
                "cells": [Safe(_short_cell(technique, c.key, scales)) for c in SHORT],
                "changes": [
                    *({"text": Safe(cell["text"]), "verdict": cell["verdict"]} for cell in changes),
                    {"text": Safe(kept["verdict"] or numbers.NOTHING), "verdict": kept["same_text"]},
                ],
                "flagged": bool(technique["flags"]),
            }
        )
    return found


def _short_cell(technique: dict[str, Any], key: str, scales: dict[str, numbers.Scale]) -> str:
    figure = rows.figure(technique, key)
    return scales[key].show(figure["value"]) + (" (runaway)" if key == tail.KEY and tail.runs_away(figure) else "")


def _absent(technique: dict[str, Any]) -> dict[str, str]:
    return {"label": technique["label"], "reason": rows.absent(technique["status"], technique["reason"])}


SECTION = Section("results", "Table", 40, results, short=short)
