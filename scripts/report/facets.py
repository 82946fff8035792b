"""What a technique is and how it differs from its parent, by the words of its facets."""

from dataclasses import dataclass
from typing import Any

from scripts.report import rows, templates
from scripts.report.facet_words import NEITHER, FacetWords, work_beside

Technique = dict[str, Any]


@dataclass(frozen=True)
class Mechanism:
    """How a technique differs from its parent.

    Attributes:
        text: begins a sentence.
        work: the work that is saved or added, to follow a colon; computed from shapes, or counted.
        expected: the effect on speed: ``faster``, ``neither`` or ``slower``.
        facet: the words of the one facet that differs; None where that is none or several.
    """

    text: str
    work: str = ""
    expected: str = NEITHER
    facet: FacetWords | None = None


def what(technique: Technique, comparison: dict[str, Any]) -> list[str]:
    """Return what a technique is: the sentences of each facet by which it differs, then what it keeps of others."""
    root = technique["parent"] is None
    changed = [FacetWords(facet, technique, None, comparison) for facet in technique["difference"]]
    told = [sentence for each in changed if not root or each.constant("of_root", True) for sentence in each.summary()]
    if root:
        return [*told, templates.told("technique", "reference")]
    kept = [
        FacetWords(facet, technique, None, comparison).kept()
        for facet, value in (technique["settings"] or {}).items()
        if facet not in technique["difference"] and value not in (None, "none")
    ]
    return [*told, *filter(None, [templates.told("technique", "keeps", kept=[name for name in kept if name])])]


def mechanism(technique: Technique, parent: Technique | None, comparison: dict[str, Any]) -> Mechanism:
    """Return how a technique differs from its parent: the mechanism of its facet, or the difference of settings."""
    changed = [FacetWords(facet, technique, parent, comparison) for facet in technique["difference"]]
    if parent is None:
        alone = next((facet for facet in changed if facet.has("alone")), None)
        return (
            Mechanism(alone.say("alone"), alone.say("alone_work"))
            if alone
            else Mechanism(templates.told("technique", "no_parent"))
        )
    if len(changed) == 1:
        facet = changed[0]
        return Mechanism(facet.say("mechanism"), facet.say("work"), facet.expected(), facet)
    difference = rows.difference_text(technique["difference"])
    said = templates.told("technique", "several_changes", difference=difference, parent=parent)
    return Mechanism(said, work_beside(technique, parent))
