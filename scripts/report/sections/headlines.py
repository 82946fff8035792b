"""The first headlines side by side, for readers without scripts, and what those with scripts can choose from."""

from typing import Any

from scripts.report import numbers, rows
from scripts.report.section import Section

FIRST = 12
SCORES = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L", "rougeLsum": "ROUGE-Lsum"}


def headlines(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return the first prompts, techniques that wrote the same together, and the names to filter by.

    Returns:
        ``shown`` and ``total`` prompts, ``scores`` in the order of the columns, ``examples``, ``techniques`` with name
        and label, ``categories``, and ``baseline``, the label of the baseline where it wrote headlines.
    """
    prompts = comparison["prompts"]
    shown, wrote = prompts.get("rows") or [], prompts.get("wrote") or {}
    labels = rows.labels(comparison)
    baseline = comparison["baseline"]["name"]
    return {
        "shown": len(shown),
        "total": prompts.get("total") or len(shown),
        "draws": prompts.get("draws") or 1,
        "scores": list(SCORES.values()),
        "examples": [_example(index, row, wrote, labels) for index, row in enumerate(shown[:FIRST])],
        "techniques": [{"name": name, "label": labels.get(name, name)} for name in wrote],
        "categories": sorted({row["category"] for row in shown if row["category"]}),
        "baseline": labels.get(baseline, baseline) if baseline in wrote else "",
    }


def _example(index: int, row: dict[str, Any], wrote: dict[str, list[int]], labels: dict[str, str]) -> dict[str, Any]:
    """Return a prompt with each headline once, in the order of the techniques that wrote it first."""
    by_text: dict[int, list[str]] = {}
    for name, texts in wrote.items():
        by_text.setdefault(texts[index], []).append(labels.get(name, name))
    return {
        "number": index + 1,
        "category": row["category"] or "",
        "summary": row["summary"],
        "reference": row["reference"],
        "headlines": [_headline(row, row["texts"][text], names, labels) for text, names in by_text.items()],
    }


def _headline(row: dict[str, Any], written: dict[str, Any], names: list[str], labels: dict[str, str]) -> dict[str, Any]:
    shown = [numbers.NOTHING if written[key] is None else numbers.fixed(written[key], 3) for key in SCORES]
    return {
        "techniques": names,
        "text": written["text"],
        "fault": written.get("fault") or "empty",
        "exact": written["text"].strip() == row["reference"].strip() != "",
        "scores": shown,
        "raw": [
            {
                "answer": raw["answer"],
                "rest": raw["length"] - len(raw["answer"]),
                "removed": ", ".join(raw["removed"]),
                "by": [labels.get(name, name) for name in raw["by"]] if len(written["raw"]) > 1 else [],
            }
            for raw in written.get("raw") or []
        ],
    }


SECTION = Section("headlines", "Headlines", 110, headlines)
