"""The comparison of two studies as one value, and what in it counts as worse."""

from dataclasses import dataclass
from typing import Any

from scripts.comparison.studies import differences, judging, outputs, pairing
from scripts.comparison.studies.estimates import Layout
from scripts.comparison.studies.judging import ABSOLUTE, BASELINE, BEYOND, KIND_OF, Sides
from scripts.comparison.studies.reading import Study
from scripts.foundation.errors import StudyError

AUTO, UNTESTED = "auto", "untested"
FIGURES, STATUS, MISSING, TEXT, UNSHOWN = "figures", "status", "missing", "text", "unshown"
REASONS = {
    FIGURES: "a figure is worse by more than its bound, by the test",
    STATUS: "a technique that had figures has none any more",
    MISSING: "a technique is not in the new study at all",
    TEXT: "a technique writes other headlines for the same prompts",
    UNSHOWN: "a figure is not shown to be within its bound: undecided, or not tested",
}
ALWAYS = (FIGURES, STATUS)
UNPAIRED = (
    "Runs of two studies are not paired: they were made at other times, so what changed meanwhile in the machine is in "
    "their difference, and each change is judged by how far the runs of either study lie apart."
)


@dataclass(frozen=True)
class Choices:
    """What is asked of a comparison: bounds in percent by kind, what decides, and what counts as worse."""

    bounds: dict[str, float]
    judge: str = AUTO
    fail_on: tuple[str, ...] = ALWAYS


def choices(**changed: Any) -> Choices:
    """Return the usual choices, with some of them changed."""
    return Choices(**{"bounds": judging.BOUNDS} | changed)


def compare(old: Study, new: Study, asked: Choices) -> dict[str, Any]:
    """Compare two studies.

    Args:
        old, new: contents of comparison.json that :mod:`scripts.comparison.studies.reading` has checked.
        asked: the choices.

    Returns:
        ``old``, ``new``: title, baseline, when, machine, runs; ``differences`` as of the module; ``unpaired``: the
        sentence on runs; ``prompts``: whether they are the same, and a sentence; ``decides``: ``absolute`` or
        ``baseline``, and ``why``; ``bounds``; ``techniques``: those of the new study in their order, then those of the
        old one alone; ``worse``: what makes the comparison fail, each with ``reason`` (of :data:`REASONS`), the
        technique's ``name`` and ``label``, and for a figure its ``key``; ``counts`` of what was judged.

    Raises:
        StudyError: the two have no technique in common.
    """
    techniques = [{each["name"]: each for each in study["techniques"]} for study in (old, new)]
    if not techniques[0].keys() & techniques[1].keys():
        raise StudyError(
            "the two studies have no technique in common, so nothing can be compared; give two comparisons of one "
            "study's techniques, with equal names."
        )
    prompts = pairing.pairing(old, new)
    machine = differences.other_machine(old, new)
    baseline = _baseline(old, new, techniques)
    sides = Sides(old, new, (Layout(old), Layout(new)), prompts, baseline, asked.bounds)
    decides = asked.judge if asked.judge != AUTO else BASELINE if machine else ABSOLUTE
    rows = [_technique(sides, techniques[0].get(name), techniques[1].get(name), decides)
            for name in dict.fromkeys([*techniques[1], *techniques[0]])]  # fmt: skip
    judging.judge([row["changes"] for row in rows if row["changes"]], asked.bounds)
    return {
        "old": _side(old),
        "new": _side(new),
        "differences": differences.differences(old, new),
        "unpaired": UNPAIRED,
        "prompts": {"same": prompts.same, "note": prompts.note, "shown": prompts.shown, "total": prompts.total},
        "decides": decides,
        "why": _why(decides, asked.judge, machine),
        "other_machine": machine,
        "baseline": baseline,
        "bounds": asked.bounds,
        "fail_on": list(asked.fail_on),
        "techniques": rows,
        "worse": [found for row in rows for found in _worse(row) if found["reason"] in asked.fail_on],
        "counts": _counts(rows),
    }


def _baseline(old: Study, new: Study, techniques: list[dict[str, Any]]) -> str | None:
    """Return the baseline that both studies have, with figures and asked the same."""
    name = new["baseline"]["name"]
    if name is None or name != old["baseline"]["name"]:
        return None
    found = [each.get(name) for each in techniques]
    usable = all(each is not None and each["status"] == "ok" for each in found)
    return name if usable and not differences.asked_otherwise(*found) else None


def _why(decides: str, judge: str, machine: str | None) -> str:
    """Say which comparison decides, and why."""
    if judge != AUTO:
        chosen = "the figures as they are" if decides == ABSOLUTE else "each technique against its own study's baseline"
        return f"As asked, {chosen} decide{'' if decides == ABSOLUTE else 's'}."
    if decides == BASELINE:
        return (
            f"The studies differ in {machine}, so what decides on times and memory is each technique against its own "
            "study's baseline: another machine is faster or slower for both. Quality is compared as it is."
        )
    return (
        "The studies were made on the same kind of machine, so the figures as they are decide: against the baseline, "
        "what an upgrade costs every technique alike would not be seen."
    )


def _technique(sides: Sides, old: dict[str, Any] | None, new: dict[str, Any] | None, decides: str) -> dict[str, Any]:
    """Return a technique of one of the studies, or of both."""
    name, label = (new or old)["name"], (new or old)["label"]
    row = {
        "name": name,
        "label": label,
        "in": "both" if old and new else "new" if new else "old",
        "status": {"old": old and old["status"], "new": new and new["status"]},
        "reason": new and new.get("reason"),
        "settings": [],
        "output": None,
        "values": {},
        "changes": {},
    }
    if not (old and new):
        return row
    row["settings"] = differences.asked_otherwise(old, new)
    if row["settings"] or {old["status"], new["status"]} != {"ok"}:
        return row
    digests = (old.get("tokens_digest"), new.get("tokens_digest"))
    return row | {
        "output": outputs.output(sides.old, sides.new, name, digests, sides.prompts),
        "values": {key: {side: (each["figures"].get(key) or {}).get("value")
                         for side, each in (("old", old), ("new", new))} for key in KIND_OF},
        "changes": judging.changes(sides, name, decides),
    }  # fmt: skip


def _worse(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is worse about a technique, whatever counts."""
    head = {"name": row["name"], "label": row["label"], "key": None}
    if row["in"] == "old":
        return [head | {"reason": MISSING}]
    if row["status"]["old"] == "ok" and row["status"]["new"] != "ok":
        return [head | {"reason": STATUS}]
    found = [head | {"key": key, "reason": reason} for key, change in decided(row) if (reason := _fault(change))]
    return found + ([head | {"reason": TEXT}] if (row["output"] or {}).get("state") == outputs.CHANGED else [])


def decided(row: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the changes of a technique that decide, by their figures."""
    return [(key, change) for key, both in row["changes"].items() for change in both.values() if change.get("decides")]


def state(change: dict[str, Any]) -> str | None:
    """Return what became of a change that decides: its bound, or untested; None where there is nothing to judge."""
    if change["value"] is None and change["note"] in (judging.NO_VALUE, judging.NEITHER, judging.IS_BASELINE):
        return None
    return change.get("bound", UNTESTED)


def _fault(change: dict[str, Any]) -> str | None:
    found = state(change)
    return FIGURES if found == BEYOND else None if found in (None, judging.WITHIN) else UNSHOWN


def _counts(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Count the changes that decide by what became of them."""
    found = [state(change) for row in rows for _, change in decided(row)]
    return {each: found.count(each) for each in (BEYOND, judging.UNDECIDED, judging.WITHIN, UNTESTED)}


def _side(study: Study) -> dict[str, Any]:
    runs = sorted({technique.get("run_count") or 0 for technique in study["techniques"]})
    return {
        "title": study["title"],
        "machine": study.get("machine"),
        "started_at": study.get("started_at"),
        "finished_at": study.get("finished_at"),
        "runs": runs,
        "prompts": study["dataset"]["samples"],
        "techniques": len(study["techniques"]),
    }
