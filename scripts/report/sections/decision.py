"""The answer: what to use for what, its price, how sure that is, and what was measured."""

from typing import Any

from scripts.report import answer, cards, gains, rows, scope
from scripts.report.section import Section


def decision(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return the answer.

    Returns:
        ``headline``, ``beside`` (price, certainty and doubt) and ``failed``: sentences; ``facts`` and ``limits``: what
        was measured and what it can't say; ``cards``: one a use; ``others``: for limits that a reader sets, of every
        technique that ran its card, its sentences for single requests and for bulk work, whether it is shown to be
        ``faster``, and its ``rate``; ``more``: the gain from which bulk work has a technique of its own; ``baseline``
        and ``reference``: its label and name; ``by``: what a technique must keep to be recommended; ``drift``: whether
        factors are in units of a reference's time.
    """
    ran = rows.ran(comparison["techniques"]) if comparison["uses"] else []
    reference = rows.labels(comparison).get(comparison["answer"]["reference"], "")
    return {
        "headline": answer.headline(comparison),
        "beside": answer.beside(comparison),
        "failed": answer.failed(comparison),
        "facts": scope.facts(comparison),
        "limits": scope.limits(comparison),
        "cards": cards.cards(comparison),
        "others": [_other(technique, comparison) for technique in ran],
        "more": answer.MORE,
        "baseline": reference,
        "reference": comparison["answer"]["reference"] or "",
        "by": (comparison["uses"] or {}).get("by", ""),
        "drift": bool(comparison.get("timed_beside")),
    }


def _other(technique: dict[str, Any], comparison: dict[str, Any]) -> dict[str, Any]:
    it = gains.gains(technique, comparison)
    card = cards.card(technique, comparison)
    baseline = gains.gains(rows.by_name(comparison)[comparison["answer"]["reference"]], comparison)
    return card | {
        "alone": answer.single(comparison, it, limited=True),
        "bulk": answer.in_bulk(it),
        "rest": answer.without_quality(comparison, it),
        "faster": answer.is_faster(it, baseline),
        "rate": it.throughput or 1.0,
    }


SECTION = Section("decision", "Answer", 10, decision)
