"""What the comparison of two studies says in sentences."""

from typing import Any

from scripts.comparison import verdicts
from scripts.comparison.studies import compare, judging, outputs
from scripts.comparison.studies.compare import FIGURES, MISSING, STATUS, TEXT, UNSHOWN
from scripts.metrics.entry import Entry
from scripts.report import numbers, rows

Comparison = dict[str, Any]
NAMES = {
    "latency_s": "latency",
    "fixed_latency_s": "latency at a fixed length",
    "throughput_samples_per_s": "samples per second",
    "peak_memory_bytes": "peak memory",
    "rougeL": "ROUGE-L",
}
AGAINST = {judging.ABSOLUTE: "", judging.BASELINE: " against its own baseline"}


def answer(found: Comparison) -> list[str]:
    """Return the answer: whether anything is worse, and how much of it could be judged."""
    if not found["worse"] and not sum(found["counts"].values()):
        return [_counted(found)]
    return [_verdict(found), _counted(found)]


def worse(found: Comparison) -> list[str]:
    """Return a sentence for each thing that counts as worse."""
    by_name = {row["name"]: row for row in found["techniques"]}
    return [_worse(found, each, by_name[each["name"]]) for each in found["worse"]]


def changed(key: str, way: str, change: dict[str, Any], bounds: dict[str, float]) -> str:
    """Say how a figure changed, e.g. ``latency +12.3% (95% interval +9.1 to +15.6%), beyond the bound of 5%``."""
    between = f" (95% interval {interval(change)})" if interval(change) else ""
    bound = bounds[judging.KIND_OF[key].name]
    state = change.get("bound")
    tail = f", {state} of {bound:g}%" if state in (judging.BEYOND, judging.WITHIN) else ""
    return f"{NAMES[key]}{AGAINST[way]} {numbers.percent(change['value'])}{between}{tail}"


def interval(change: dict[str, Any]) -> str:
    """Return the interval of a change; empty where nothing varies, as with the same text."""
    low, high = change["low"], change["high"]
    return "" if low == high else numbers.percent_interval(low, high)


def p_value(value: float | None) -> str:
    """Return a p-value as text; empty where there is none."""
    return "" if value is None else "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def status(name: str | None) -> str:
    """Return a technique's status in words."""
    return rows.STATUS.get(name or "", name or "not there").partition(":")[0]


def headlines(output: dict[str, Any]) -> str:
    """Say whether a technique wrote the same headlines."""
    if output["state"] == outputs.CHANGED and output["differ"]:
        return f"{output['differ']:,} of {output['prompts']:,} headlines differ"
    if output["state"] == outputs.CHANGED:
        return "other tokens; the headlines shown are the same" if output["prompts"] else "other tokens"
    return output["state"]


def is_told(change: dict[str, Any]) -> bool:
    """Whether a test shows that there is a change at all."""
    return change.get("verdict") not in (None, verdicts.SAME)


def better(entry: Entry, value: float) -> bool:
    """Whether a change in percent is one for the better."""
    return value < 0 if entry.better == "low" else value > 0


def _verdict(found: Comparison) -> str:
    count = len(found["worse"])
    if not count:
        what = "No figure is worse by more than its bound, and no technique has lost its figures"
        if set(found["fail_on"]) != set(compare.ALWAYS):
            what = "Nothing that was asked about is worse"
        return f"{what}."
    names = {each["name"] for each in found["worse"]}
    what = "One thing is worse" if count == 1 else f"{count} things are worse"
    return f"{what}, of {len(names)} technique{'s' * (len(names) != 1)} out of {len(found['techniques'])}."


def _counted(found: Comparison) -> str:
    """Say how many changes decide, and what became of them."""
    counts = found["counts"]
    total = sum(counts.values())
    if not total:
        return "No figure could be compared."
    told = {
        judging.BEYOND: "beyond their bound",
        judging.WITHIN: "shown to be within their bound",
        judging.UNDECIDED: "not shown either way",
        compare.UNTESTED: "not tested",
    }
    parts = [f"{counts[state]} {said}" for state, said in told.items() if counts[state]]
    said = f"Of {total} changes that decide: {', '.join(parts)}."
    if counts[judging.UNDECIDED] > total / 2:
        said += " The runs lie too far apart for more: more of them, or a calmer machine, would tell."
    return said


def _worse(found: Comparison, each: dict[str, Any], row: dict[str, Any]) -> str:
    label, reason = each["label"], each["reason"]
    if reason == STATUS:
        why = f": {row['reason']}" if row["reason"] else ""
        return f"{label} had figures and has none any more ({status(row['status']['new'])}{why.rstrip('.')})."
    if reason == MISSING:
        return f"{label} is not in the new study."
    if reason == TEXT:
        return f"{label} writes other headlines for the same prompts: {headlines(row['output'])}."
    way, change = next((way, one) for way, one in row["changes"][each["key"]].items() if one.get("decides"))
    if change["value"] is None:
        return f"{label}: {NAMES[each['key']]}{AGAINST[way]} is not judged ({change['note']})."
    said = f"{label}: {changed(each['key'], way, change, found['bounds'])}"
    if reason == FIGURES:
        return f"{said}; {p_value(change['adjusted_p_beyond'])} after Holm's correction."
    assert reason == UNSHOWN  # noqa: S101
    why = "not shown to be within its bound" if change["p_value"] is not None else change["note"]
    return f"{said}: {why}."
