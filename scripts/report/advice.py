"""When to use a technique and when not, derived from its verdicts; what a technique that did not run would need."""

from typing import Any

from scripts.comparison import fronts
from scripts.report import limits, picture, rows, words
from scripts.report.facet_words import FacetWords
from scripts.report.templates import told

SMALLER = 0.05
"""Memory is one reading a run and can't be tested; less than this share is not called a difference."""


def summary(technique: dict[str, Any], comparison: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """Return the verdict in words: what speaks for and against it, its place among the others, where it is chosen."""
    chosen = [each for each in comparison.get("scenarios") or [] if each.get("winner") == technique["name"]]
    scenarios = [each["label"] for each in chosen if len(each["ranked"]) > 1]  # one alone was chosen from nothing
    found = (
        _advice(technique, comparison, labels), _front(technique, comparison, labels), _rank(technique, comparison),
        told("summary", "chosen", scenarios=scenarios),
    )  # fmt: skip
    return [sentence for sentence in found if sentence]


def needed(technique: dict[str, Any]) -> str:
    """Return what a technique that did not run would need."""
    if technique["status"] == "unsupported":
        for facet in (FacetWords(name, technique) for name in technique["settings"] or {}):
            if facet.has("needed"):
                return facet.say("needed")
    return told("needed", technique["status"], bytes=words.value(technique, "needed_bytes_per_device"))


def sides(technique: dict[str, Any], kind: str = "parent") -> tuple[list[str], list[str], list[str]]:
    """Return what speaks for a technique against its parent or the baseline, what against it, and what is open.

    Returns:
        Names of ``latency``, ``throughput``, ``memory`` and ``quality``. Time and quality need a verdict of a test;
        memory, which has none, a difference of 5% of what each device needs. A higher ROUGE-L is no gain where the
        quality is not shown to be kept, for its length.
    """
    change = technique["changes"][kind]
    figures = change["figures"] or {}
    gains, losses, open_ = [], [], []
    for key, what, good, bad in (
        ("latency_change_percent", "latency", "faster", "slower"),
        ("throughput_change_percent", "throughput", "higher", "lower"),
    ):
        figure = figures.get(key) or {}
        verdict = figure.get("verdict")
        settled = gains if verdict == good else losses if verdict == bad else []
        (settled if words.is_tested(figure) else open_).append(what)
    memory = (figures.get("peak_memory_change_percent") or {}).get("value")
    if memory is not None and abs(memory) >= 100 * SMALLER:
        (gains if memory < 0 else losses).append("memory")
    kept, better = change["quality_kept"]["verdict"], (figures.get("quality_kept_percent_rougeL") or {}).get("verdict")
    if kept == "not kept":
        losses.append("quality")
    elif kept == "undecided":
        open_.append("quality")
    elif better == "better":
        gains.append("quality")
    return gains, losses, open_


def _advice(technique: dict[str, Any], comparison: dict[str, Any], labels: dict[str, str]) -> str:
    change = technique["changes"]["parent"]
    if technique["parent"] is None:
        better = [other["label"] for other in comparison["techniques"] if _improves(other, technique["name"])]
        return told("summary", "reference", better=better)
    if change["figures"] is None:
        return told("summary", "not_compared", reason=change["reason"])
    parents = [entry for entry in comparison["techniques"] if entry["name"] == technique["parent"]]
    gains, losses, open_ = sides(technique)
    if parents and _share_of_device(technique, parents[0]) <= 1 - SMALLER:
        gains.append("memory a device")
    match = technique["matches"]
    identical = (match.get("audit") or {}).get("verdict") == "identical" and not match.get("reason")
    parent = labels.get(technique["parent"], technique["parent"])
    return told(
        "summary", "advice", gains=gains, losses=losses, open=open_, parent=parent, identical=identical,
        kept=change["quality_kept"]["verdict"],
    )  # fmt: skip


def _share_of_device(technique: dict[str, Any], parent: dict[str, Any]) -> float:
    """Return what each of several devices must have over what the parent's must; 1 where that says nothing new."""
    own, other = technique["smallest_gpu"], parent["smallest_gpu"]
    if not own or not other or own["devices"] <= other["devices"]:
        return 1.0
    return own["needed_bytes"] / other["needed_bytes"]


def _improves(technique: dict[str, Any], baseline: str) -> bool:
    """Return whether a technique gains on the baseline and loses nothing that was measured.

    One whose quality is open, or whose speed nothing was tested of, does not.
    """
    if technique["status"] != "ok" or technique["changes"]["baseline"]["against"] != baseline:
        return False
    gains, losses, open_ = sides(technique, "baseline")
    unknown = "quality" in open_ or {"latency", "throughput"} <= set(open_)
    return technique["name"] != baseline and bool(gains) and not losses and not unknown


def _front(technique: dict[str, Any], comparison: dict[str, Any], labels: dict[str, str]) -> str:
    """Return whether it is on the Pareto front of latency and quality (or throughput, without quality)."""
    known = comparison["fronts"]["latency"]
    if technique["name"] not in known or len(known) < 2:
        return ""
    second = picture.quality_key(comparison)
    own = known[technique["name"]]
    return told(
        "summary", "front", place=fronts.place(own["chance"]), chance=limits.chance(own["chance"]), second=second,
        behind=labels.get(own["behind"] or "", ""),
        tested=second in comparison["fronts"]["above"],
    )  # fmt: skip


def _rank(technique: dict[str, Any], comparison: dict[str, Any]) -> str:
    overall = rows.ranked(comparison)
    row = next((row for row in overall if row["technique"] == technique["name"]), {})
    return (
        ""
        if row.get("score") is None or len(overall) == 1
        else told("summary", "rank", row=row, count=len(overall), chance=limits.chance(row.get("chance_best")))
    )
