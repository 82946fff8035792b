"""Why techniques are as fast as they are, and whether drafting pays."""

from typing import Any

from scripts.comparison import predictions
from scripts.metrics import figures
from scripts.report import columns, numbers, rows, templates, words
from scripts.report.columns import Column
from scripts.report.section import Section

RATIO = [(1.0, numbers.TIMES)]
WHY = (
    Column("bytes_per_token", "Work per new token", "moved", numbers.BYTES, alone="Bytes per token"),
    Column("flops_per_token", "Work per new token", "operations", numbers.OPERATIONS, alone="Operations per token"),
    Column("mbu_datasheet", "MBU", "of data sheet", columns.PERCENT, decimals=2, alone="MBU of the data sheet's peak"),
    Column("mbu_measured", "MBU", "of measured peak", columns.PERCENT, decimals=2, alone="MBU of the measured peak"),
    Column("mfu_datasheet", "MFU", "of data sheet", columns.PERCENT, decimals=2, alone="MFU of the data sheet's peak"),
    Column("mfu_measured", "MFU", "of measured peak", columns.PERCENT, decimals=2, alone="MFU of the measured peak"),
    Column("host_bound_share", "Time", "host-bound", columns.PERCENT, decimals=1, alone="Host-bound share"),
    Column("predicted_time_per_sample_s", "Time", "predicted, per headline", numbers.TIME, alone="Predicted time"),
    Column(rows.PER_SAMPLE, "Time", "measured, per headline", numbers.TIME),
    Column("predicted_speedup", "Speed-up over the parent", "predicted", RATIO, decimals=2, alone="Predicted speed-up"),
    Column("measured_speedup", "Speed-up over the parent", "measured", RATIO, decimals=2, alone="Measured speed-up"),
)


def why(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return the table of bytes, operations, utilisation and speed-ups, with why a figure has no value.

    Beside it ``failed``, the predictions that failed here, and ``speculation``, whether drafting pays.
    """
    techniques = comparison["techniques"]
    table = columns.table(WHY, techniques)
    shown = rows.ran(techniques)
    table["notes"] += _caveats(shown)
    for row, technique in zip(table["rows"], shown, strict=True):
        verdict = technique["measured_speedup"].get("verdict")
        if verdict and row["cells"]:
            # More samples a second than the parent: faster in the words of the rest of the page.
            word = {"higher": "faster", "lower": "slower"}.get(verdict, verdict)
            row["cells"][-1] |= {"verdict": word, "tone": columns.tone(word)}
    return table | {"failed": _failed(techniques), "speculation": _speculation(comparison)}


def _caveats(techniques: list[dict[str, Any]]) -> list[str]:
    """Return what to know of figures that have a value, e.g. that small weights can stay in a processor's cache."""
    noted: dict[tuple[str, str], list[str]] = {}
    title = "Predicted time and MBU of the measured peak"
    for technique in techniques:
        figure = technique["figures"]["predicted_time_per_sample_s"]
        if figure["value"] is not None and figure["note"] not in (None, figures.ONE_READING):
            noted.setdefault((title, figure["note"]), []).append(technique["label"])
    return rows.lines(noted, len(techniques))


def utilisation(technique: dict[str, Any]) -> str:
    """Return how well the machine was used, and whether the speed-up is the one that a roofline predicts."""
    figures = technique["figures"]
    parts = []
    for key, name in (("mbu", "memory bandwidth"), ("mfu", "peak arithmetic")):
        for kind, whose in (("measured", "measured"), ("datasheet", "data sheet's")):
            found = (figures.get(f"{key}_{kind}") or {}).get("value")
            if found is not None:
                parts.append(f"{numbers.share(found)} of the {whose} {name}")
                break
    told = f"It reaches {words.listed(parts)}." if parts else ""
    host = words.value(technique, "host_bound_share")
    if host is not None:
        told += f" {numbers.share(host)} of its time passes outside of operators and kernels."
    predicted, measured = technique["predicted_speedup"]["value"], technique["measured_speedup"]["value"]
    if predicted is not None and measured is not None:
        told += (
            f" A roofline predicts {words.times(predicted)} the parent's speed; {words.times(measured)} was measured."
        )
    failed = " ".join(failures(technique))
    return f"{told} {failed}".strip()


def failures(technique: dict[str, Any], *kinds: str) -> list[str]:
    """Return a sentence for each prediction of these kinds that failed here; of all kinds where none is given."""
    found = technique.get("predictions") or []
    return [_sentence(entry) for entry in found if not entry["holds"] and (not kinds or entry["kind"] in kinds)]


def _sentence(entry: dict[str, Any]) -> str:
    facts = [templates.told("predictions", fact["fact"], fact=fact) for fact in entry["facts"]]
    return templates.told("predictions", "failed", entry=entry, facts=facts)


def _failed(techniques: list[dict[str, Any]]) -> dict[str, Any]:
    """Return ``lines``, every prediction that failed here with the technique that it was of, and ``lead``."""
    shares = {kind: f"{numbers.fixed(100 * value, 0)}%" for kind, value in predictions.TOLERANCES.items()}
    lead = (
        "A prediction holds where its interval, widened by its tolerance, meets that of the measurement: "
        f"{shares['speculation']} for speculation, {shares['roofline_time']} for the roofline. A reason is named only "
        "where a measured fact, or how the technique ran, speaks for it."
    )
    lines = [
        {"name": technique["name"], "label": technique["label"], "text": sentence}
        for technique in techniques
        for sentence in failures(technique)
    ]
    return {"lines": lines, "lead": lead}


def _speculation(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    """Return per technique that drafts: tokens a round, cost, acceptance and break-even, speed-ups.

    The speed-ups are that of the model, that with the verification's own time, and the measured one.
    """
    found = []
    techniques = rows.by_name(comparison)
    for row in comparison["break_even"]:
        measured = row["measured_speedup"]
        word = {"higher": "faster", "lower": "slower"}.get(measured.get("verdict"), measured.get("verdict") or "")
        cells = [
            _cell(row["cost_ratio"], ratio=True),
            _cell(row["acceptance_rate"]),
            _cell(row["break_even_acceptance"]),
            _cell(row["predicted_speedup"], ratio=True),
            _cell(row["predicted_with_verification"], ratio=True),
            _cell(measured, ratio=True) | {"verdict": word, "tone": columns.tone(word)},
        ]
        notes = {row[key]["note"] for key in ("cost_ratio", "acceptance_rate", "break_even_acceptance")
                 if row[key]["value"] is None}  # fmt: skip
        found.append(
            {
                "name": row["technique"],
                "label": techniques.get(row["technique"], {}).get("label", row["technique"]),
                "tokens": row["draft_tokens"],
                "cells": cells,
                "notes": [
                    *sorted(note for note in notes if note),
                    *failures(techniques.get(row["technique"]) or {}, "speculation"),
                ],
            }
        )
    return found


def _cell(figure: dict[str, Any], ratio: bool = False) -> dict[str, Any]:
    if ratio:
        text, interval = numbers.ratio_texts(figure["value"], figure["low"], figure["high"])
        return {"text": text, "interval": interval, "note": figure["note"] or ""}
    return columns.cell(figure, numbers.Scale("%", 0.01, 1)) | {
        "text": numbers.share(figure["value"]),
    }


SECTION = Section("why", "Why this fast", 80, why, within="techniques")
