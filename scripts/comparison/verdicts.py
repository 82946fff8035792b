"""Verdicts on changes after Holm's correction over the study, and the verdict on quality."""

import math
from collections.abc import Hashable
from typing import Any

from scripts.comparison import changes
from scripts.metrics import figures as figure_tools
from scripts.metrics import registry
from scripts.metrics.entry import CHANGES, Change, Entry, Place
from scripts.metrics.figures import Figure

ALPHA = 0.05
MARGIN = 0.01
"""Quality counts as kept from 99% of the reference on, as MLPerf Inference has it."""
LENGTH_BOUND = 0.1
"""Output length counts as kept within this share of the reference's, as MLPerf Inference has it."""

SAME = "no measurable difference"
SAME_TEXT = "same text"
"""Said in place of any test of what follows from the text, where every token is the other's (``matches.same_text``)."""
NO_CHANGE = (SAME, SAME_TEXT)
GATED = "quality_kept_percent_rougeL"
KEPT = Entry("quality_kept", "", "Quality kept", kind="word", table=Place(CHANGES, main=True))


def tested_changes() -> dict[str, Change]:
    """Return the changes that are tested, each with the family of tests that it is corrected in."""
    return {key: entry.change for key, entry in registry.changes().items() if entry.change.family}


def holm(p_values: dict[Hashable, float]) -> dict[Hashable, float]:
    """Adjust p-values for how many there are (Holm, 1979); the order of the result is that of the argument."""
    ascending = sorted(p_values, key=lambda name: p_values[name])
    adjusted: dict[Hashable, float] = {}
    largest = 0.0
    for rank, name in enumerate(ascending):
        largest = max(largest, min(1.0, (len(ascending) - rank) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}


def add_verdicts(comparisons: dict[str, dict[str, Figure]]) -> None:
    """Add ``adjusted_p_value`` and ``verdict`` to the changes of all techniques against one kind of reference.

    A change is called one only if its p-value, adjusted over all techniques of the study and all changes of its
    family, is below 0.05. Parts of the speed (TTFT, TPOT, tokens a second) must also belong to a technique whose speed
    differs: serial gatekeeping (Dmitrienko, Tamhane and Bretz, Multiple Testing Problems in Pharmaceutical Statistics,
    2009, chapter 5), so that a study calls equal techniques different no more often than in one family.

    Args:
        comparisons: per technique its changes.
    """
    known = tested_changes()
    families = {change.family: change.after for change in known.values()}
    for family in sorted(families, key=lambda name: bool(families[name])):  # a gate before what stands behind it
        tested = {
            (name, key): changed[key]
            for name, changed in comparisons.items()
            for key, change in known.items()
            if change.family == family
            and changed[key].get("p_value") is not None
            and changed[key].get("follows") is None
        }
        before = [key for key, change in known.items() if change.family == families[family]]
        gates = {name: _smallest(comparisons[name[0]], before) if before else 0.0 for name in tested}
        judge(tested, {name: known[name[1]].words for name in tested}, gates=gates)
    for changed in comparisons.values():
        _follow(changed, known)


def _follow(changed: dict[str, Figure], known: dict[str, Change]) -> None:
    """Give a reciprocal change (throughput of latency) the verdict of the change that it follows."""
    for key, figure in changed.items():
        other = changed.get(figure.get("follows") or "")
        if other is None or other.get("verdict") is None:
            continue
        figure |= {name: other[name] for name in ("p_value", "adjusted_p_value") if name in other}
        theirs, said = known[figure["follows"]].words, other["verdict"]
        figure["verdict"] = known[key].words[1 - theirs.index(said)] if said in theirs else said


def _smallest(changed: dict[str, Figure], keys: list[str]) -> float:
    """Return the smallest adjusted p-value of a technique's changes; 1 where none of these was tested."""
    return min((changed[key]["adjusted_p_value"] for key in keys if "adjusted_p_value" in changed[key]), default=1.0)


def judge(
    tested: dict[Hashable, Figure],
    words: dict[Hashable, tuple[str, str]],
    same: str = SAME,
    gates: dict[Hashable, float] | None = None,
) -> None:
    """Adjust the p-values of a family and add a verdict to each figure.

    Args:
        tested: the figures.
        words: those of a fall and of a rise.
        same: what is said where nothing was found.
        gates: per figure a p-value below which its own can't be, if there are any.
    """
    adjusted = holm({name: figure["p_value"] for name, figure in tested.items()})
    for name, figure in tested.items():
        fell = figure["ratio"] < 1 if "ratio" in figure else figure["value"] < 0
        adjusted[name] = max(adjusted[name], (gates or {}).get(name, 0.0))
        figure["adjusted_p_value"] = adjusted[name]
        figure["verdict"] = same if adjusted[name] >= ALPHA else words[name][0 if fell else 1]


def say_same_text(changed: dict[str, Figure]) -> None:
    """Say of every change that follows from the text, and is none, that the text is the same."""
    for key, change in tested_changes().items():
        none, figure = 100.0 if change.kept else 0.0, changed[key]
        ends = [figure[end] for end in ("value", "low", "high") if figure[end] is not None]
        if change.of_text and ends and all(math.isclose(end, none, abs_tol=1e-9) for end in ends):
            figure["verdict"] = SAME_TEXT


def quality_kept(
    changed: dict[str, Figure], margin: float = MARGIN, length_bound: float = LENGTH_BOUND
) -> dict[str, Any]:
    """Decide whether a technique keeps the quality of another, ROUGE-L and output length both, and say why.

    Args:
        changed: its changes against the other.
        margin: the share of the reference's ROUGE-L that may be lost.
        length_bound: the share of the reference's output length by which it may differ.

    Returns:
        ``verdict``: ``kept``, ``not kept``, ``undecided``, or None where quality is not measured; ``reason``: why;
        ``because``: the figures among the two that a verdict other than ``kept`` rests on.
    """
    score, length = changed[GATED], changed[changes.TOKEN_LENGTH]
    if score["value"] is None:
        return {"verdict": None, "reason": f"Quality can't be judged: {score['note']}.", "because": []}
    if score["low"] is None or length["low"] is None:
        because = [key for key in (GATED, changes.TOKEN_LENGTH) if changed[key]["low"] is None]
        return {
            "verdict": "undecided",
            "reason": f"No interval: {score['note'] or length['note']}.",
            "because": because,
        }
    bound = 100 * length_bound
    parts = {
        GATED: _within(score, 100 * (1 - margin), math.inf),
        changes.TOKEN_LENGTH: _within(length, -bound, bound),
    }
    verdict = next((word for word in ("not kept", "undecided") if word in parts.values()), "kept")
    reason = (
        f"ROUGE-L is {score['value']:.1f}% of the reference's (95% interval {score['low']:.1f} to {score['high']:.1f}; "
        f"at least {100 * (1 - margin):g} wanted) and the output length {length['value']:+.1f}% "
        f"({length['low']:+.1f} to {length['high']:+.1f}; within {bound:g} wanted)."
    )
    because = [key for key, word in parts.items() if word == verdict != "kept"]
    if all(changed[key].get("verdict") == SAME_TEXT for key in parts):
        reason = "The text is the reference's on every prompt."
    return {"verdict": verdict, "reason": reason, "because": because}


def _within(figure: Figure, low: float, high: float) -> str:
    """Return whether the whole interval lies within the bounds, the whole outside of them, or neither."""
    if low <= figure["low"] and figure["high"] <= high:
        return "kept"
    return "not kept" if figure["high"] < low or figure["low"] > high else "undecided"


def missing_quality(reason: str) -> dict[str, Any]:
    """Return :func:`quality_kept` where there is nothing to compare with."""
    return {"verdict": None, "reason": f"Quality can't be judged: {reason}.", "because": []}


def measured_speedup(changed: dict[str, Figure] | None, reason: str | None) -> Figure:
    """Return how many times the reference's samples per second a technique does."""
    change = changed["throughput_change_percent"] if changed else None
    if change is None or change["value"] is None:
        return figure_tools.missing("1", reason or change["note"])
    bounds = (change["ratio_low"], change["ratio_high"])
    kept = {key: change.get(key) for key in ("p_value", "adjusted_p_value", "verdict")}
    return figure_tools.figure(change["ratio"], "1", change["n"], bounds, change["interval"], change["note"], **kept)
