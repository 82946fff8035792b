"""The answer: what to use for what, its price, how sure that is, and what was measured."""

from typing import Any

from scripts.report import answer, cards, gains, rows, scope
from scripts.report.section import Section


def decision(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return the answer.

    Returns:
        ``headline``, ``beside`` (price, certainty and doubt) and ``failed``: sentences; ``facts`` and ``limits``: what
        was measured and what it can't say; ``cards``: one a use; ``others``: of every technique that ran its card and
        its sentences for single requests and for bulk work, for limits that a reader sets; ``baseline``: its label.
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
        "baseline": reference,
    }


def _other(technique: dict[str, Any], comparison: dict[str, Any]) -> dict[str, Any]:
    it = gains.gains(technique, comparison)
    card = cards.card(technique, comparison)
    return card | {"alone": answer.single(comparison, it, limited=True), "bulk": answer.in_bulk(it)}


SECTION = Section("decision", "Answer", 10, decision)
