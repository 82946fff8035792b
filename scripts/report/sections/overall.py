"""The overall score: all techniques ranked by one number under the study's weights."""

from typing import Any

from scripts.comparison.gains import CAPACITY
from scripts.metrics import registry
from scripts.report import answer, columns, limits, numbers, results_columns, rows
from scripts.report.reasons import why_sentence
from scripts.report.section import Section
from scripts.report.text import Safe

TOP = 3


def overall(comparison: dict[str, Any]) -> dict[str, Any] | None:
    """Return the ranked techniques, best first; None where nothing ran.

    Returns:
        ``ranked``: every ranked technique as it is shown, the first ``top`` of them at once; ``of``: what a score is a
        multiple of; ``method`` and ``covers``: how it is made, and what its interval and the chances cover.
    """
    ranking = comparison["ranking"]
    if not ranking:
        return None
    by_name = rows.by_name(comparison)
    scales = columns.scales(results_columns.measured(), comparison["techniques"])
    return {
        "ranked": [_ranked(entry, by_name[entry["technique"]], comparison, scales) for entry in _entries(comparison)],
        "top": TOP,
        "of": limits.reference(comparison),
        "method": _method(comparison),
        "covers": _covers(ranking),
        "no_winner": answer.no_winner(comparison),
    }


def _entries(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the ranking, each ``chance`` in words and whether it is ``sure``: one alone was compared with none."""
    ranked = rows.ranked(comparison)
    alone = len(ranked) == 1
    return [
        entry
        | {
            "chance": "not compared" if alone else limits.chance(entry["chance_best"]),
            "sure": entry["chance_best"] is not None and not alone,
        }
        for entry in ranked
    ]


def _ranked(
    entry: dict[str, Any], technique: dict[str, Any], comparison: dict[str, Any], scales: dict[str, Any]
) -> dict[str, Any]:
    """Return a technique as the top three show it."""
    return {
        "name": entry["technique"],
        "label": technique["label"],
        "rank": entry["rank"],
        "score": limits.score(entry["score"]),
        "interval": limits.score_interval(entry["low"], entry["high"]),
        "chance": entry["chance"],
        "sure": entry["sure"],
        "width": round(100 * (entry["chance_best"] or 0), 1),
        "facts": _facts(technique, comparison, scales),
        "why": why_sentence(technique, comparison),
        "flags": rows.flags(technique),
    }


def _facts(technique: dict[str, Any], comparison: dict[str, Any], scales: dict[str, Any]) -> list[dict[str, str]]:
    """Return latency and memory with their changes against the baseline, and how much of the quality is kept."""
    against = technique["changes"]["baseline"]["figures"] or {}
    found = []
    for title, key, change in (
        ("Latency", "latency_s", "latency_change_percent"),
        ("Peak memory", "peak_memory_bytes", "peak_memory_change_percent"),
    ):
        value = technique["figures"][key]["value"]
        own = "not measured" if value is None else scales[key].show_with_unit(value)
        cell = columns.change_cell(against.get(change), change)
        known = cell["text"] != numbers.NOTHING
        found.append(
            {
                "title": registry.changes()[change].change.label if known else title,
                "text": cell["text"] if known else own,
                "tone": cell["tone"] if known else "",
                "under": own if known else "",
                "verdict": cell["verdict"] if cell["tone"] == "unclear" else "",
            }
        )
    kept = columns.change_cell(against.get(key := "quality_kept_percent_rougeL"), key)
    judged = columns.quality(technique["changes"]["baseline"])
    figure = technique["figures"]["rougeL"]
    if kept["text"] == numbers.NOTHING:
        measured = technique["quality_measured"] and figure["value"] is not None
        title, text = ("ROUGE-L", scales["rougeL"].show(figure["value"])) if measured else ("ROUGE-L", "not measured")
        return [*found, {"title": title, "text": text, "tone": "", "under": "", "verdict": ""}]
    change = against[key]
    if judged["same_text"]:
        kept["interval"] = judged["same_text"]
    elif change["low"] == change["high"] == 100:
        kept["interval"] = "on every prompt"
    return [
        *found,
        {
            "title": "ROUGE-L kept",
            "text": kept["text"],
            "tone": judged["tone"],
            "under": kept["interval"],
            "verdict": f"quality {judged['verdict']}",
        },
    ]


def _method(comparison: dict[str, Any]) -> str:
    """Return in one line how a score is made."""
    ranking = comparison["ranking"]
    weighed = ", ".join(
        f"{limits.CRITERIA[key]} {limits.plain(ranking['weights'][key])}" for key in ranking["criteria"]
    )
    other = limits.other_base(comparison) if ranking["weights"].get(CAPACITY) else ""
    made = f"Score: the weighted geometric mean of the gains over {limits.reference(comparison)}."
    made = " ".join(filter(None, (made, other, f"The study's own weights: {weighed}.")))
    told = {key: reason for key, reason in ranking["left_out"].items() if _tells(key, comparison)}
    left_out = [f"{limits.CRITERIA[key]} ({reason.rstrip('.')})" for key, reason in told.items()]
    return f"{made} Left out: {'; '.join(left_out)}." if left_out else made


def _tells(criterion: str, comparison: dict[str, Any]) -> bool:
    """Whether it is worth a word that a criterion is left out: requests a second only where load was asked for."""
    weighed = comparison["ranking"]["weights"].get(criterion)
    return criterion != CAPACITY or bool(weighed) or limits.has_load(comparison)


def _covers(ranking: dict[str, Any]) -> str:
    """Return what the intervals of the scores and the chances cover."""
    if not ranking["draws"]:
        return f"No interval and no chance can be given: they would cover {ranking['covers'].rstrip('.')}."
    drawn = f"Intervals (95%) and chances of being the best come from {ranking['draws']:,} draws"
    return f"{drawn}; they cover {ranking['covers'].rstrip('.')}."


def short(comparison: dict[str, Any]) -> list[dict[str, str]] | None:
    """Return the best of the ranking with the study's own weights."""
    labels = rows.labels(comparison)
    ranked = _entries(comparison)[:TOP]
    return [
        {
            "rank": Safe(entry["rank"]),
            "label": labels.get(entry["technique"], entry["technique"]),
            "score": Safe(limits.score(entry["score"])),
            "interval": Safe(limits.score_interval(entry["low"], entry["high"])),
            "chance": Safe(entry["chance"]),
        }
        for entry in ranked
    ] or None


SECTION = Section("overall", "Overall score", 18, overall, within="decision", short=short)
