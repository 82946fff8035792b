"""The two sentences that a reader takes away, derived from the comparison."""

from typing import Any

from scripts.comparison.verdicts import SAME
from scripts.report import numbers

GATE = {
    "kept": "keeps {reference}'s ROUGE-L ({kept})",
    "not kept": "keeps only {kept} of {reference}'s ROUGE-L",
    "undecided": "is not shown to keep {reference}'s ROUGE-L ({kept})",
}

# Where the output length decides, not ROUGE-L.
LENGTH = {
    "not kept": "does not keep {reference}'s output length ({change})",
    "undecided": "is not shown to keep {reference}'s output length ({change})",
}


def sentences(comparison: dict[str, Any]) -> list[str]:
    """Return the answer: which technique is fastest at what quality, and which needs the least memory."""
    answer = comparison["answer"]
    by_name = {technique["name"]: technique for technique in comparison["techniques"]}
    if not answer["fastest"]:
        return [f"None of the {len(by_name)} techniques ran to the end on this machine; the table says why."]
    reference = by_name.get(answer["reference"])
    result = [_speed(answer, by_name, reference)]
    if answer["fastest_ties"]:
        tied = ", ".join(by_name[name]["label"] for name in answer["fastest_ties"])
        result.append(f"Not shown to be slower than {by_name[answer['fastest']]['label']}: {tied}.")
    if answer["smallest"]:
        result.append(_memory(by_name[answer["smallest"]], reference))
    return result


def _speed(answer: dict[str, Any], by_name: dict[str, Any], reference: dict[str, Any] | None) -> str:
    """Say which technique is fastest, and whether it keeps quality."""
    fastest = by_name[answer["fastest"]]
    of = f"of the {answer['ran']} techniques that ran"
    if not answer["quality_measured"] or reference is None:
        why = "" if answer["quality_measured"] else "; quality was not measured, as the weights are random"
        return f"{fastest['label']} is the fastest {of}: {_latency(fastest, reference)}{why}."
    kept = by_name[answer["fastest_kept"]]
    if kept is fastest:
        quality = "" if fastest is reference else f" and {_quality(fastest, reference)}"
        return f"{fastest['label']} is the fastest {of}{quality}: {_latency(fastest, reference)}."
    rest = f"at {_latency(fastest, reference)}, but {_quality(fastest, reference)}"
    if kept is reference:
        none = f"No technique is shown to be faster than {reference['label']} and to keep its quality"
        return f"{none}; {fastest['label']} is the fastest, {rest}."
    best = f"{kept['label']} is the fastest that {_quality(kept, reference)}: {_latency(kept, reference)}"
    return f"{best}; {fastest['label']} is faster still, {rest}."


def _memory(smallest: dict[str, Any], reference: dict[str, Any] | None) -> str:
    """Say which technique has the lowest peak memory, and what that costs in quality."""
    value = smallest["figures"]["peak_memory_bytes"]["value"]
    size = numbers.column_scale([value], numbers.BYTES).show_with_unit(value)
    if reference is None:
        return f"{smallest['label']} has the smallest peak memory ({size})."
    if smallest is reference:
        return f"No technique needs less memory than {reference['label']} ({size} at its peak)."
    figures = smallest["changes"]["baseline"]["figures"]
    change = figures["peak_memory_change_percent"]["value"]
    # Peaks are single readings: a difference below half a percent is not worth a claim.
    against = "" if change is None else f", {_less(change)} than {reference['label']}"
    if change is not None and abs(change) < 0.5:
        against = f", within 0.5% of {reference['label']}'s"
    quality = f"; it {_quality(smallest, reference)}" if figures["quality_kept_percent_rougeL"]["gate"] else ""
    return f"{smallest['label']} has the smallest peak memory, {size}{against}{quality}."


def _latency(technique: dict[str, Any], reference: dict[str, Any] | None) -> str:
    """Return the mean latency and, against the baseline, its change with the interval or what can't be said of it."""
    value = technique["figures"]["latency_s"]["value"]
    told = f"{numbers.column_scale([value], numbers.TIME).show_with_unit(value)} a headline"
    if reference is None or technique is reference:
        return told
    change = technique["changes"]["baseline"]["figures"]["latency_change_percent"]
    if change.get("verdict") == SAME:
        return f"{told}, {SAME} from {reference['label']}"
    interval = numbers.percent_interval(change["low"], change["high"])
    beside = [f"95% interval {interval}"] if interval else []
    if (change.get("verdict") or "").startswith("not tested"):
        beside.append(change["verdict"])
    between = f" ({'; '.join(beside)})" if beside else ""
    return f"{told}, {_less(change['value'])} than {reference['label']}{between}"


def _quality(technique: dict[str, Any], reference: dict[str, Any]) -> str:
    """Return what is known of the quality of a technique against the baseline."""
    if technique is reference:
        return "is the reference for quality"
    kept = technique["changes"]["baseline"]["figures"]["quality_kept_percent_rougeL"]
    if kept["gate"] is None:
        return f"its quality can't be judged ({kept['note']})"
    judged = technique["changes"]["baseline"]["quality_kept"]["verdict"]
    if judged != kept["gate"]:
        return LENGTH[judged].format(reference=reference["label"], change=_length(technique))
    if kept["low"] == kept["high"] == kept["value"] == 100:
        return f"matches {reference['label']}'s ROUGE-L on every prompt"
    interval = numbers.percent_interval(kept["low"], kept["high"], signed=False)
    value = f"{numbers.fixed(kept['value'], 1)}%, 95% interval {interval}"
    if kept["gate"] == "not kept":
        value = f"{numbers.fixed(kept['value'], 1)}% (95% interval {interval})"
    return GATE[kept["gate"]].format(reference=reference["label"], kept=value)


def _length(technique: dict[str, Any]) -> str:
    """Return the change of the output length against the baseline, with its interval."""
    change = technique["changes"]["baseline"]["figures"]["output_length_change_percent"]
    interval = numbers.percent_interval(change["low"], change["high"])
    return numbers.percent(change["value"]) + (f", 95% interval {interval}" if interval else "")


def _less(change: float) -> str:
    """Return a change in words, e.g. ``57.8% less``."""
    return f"{numbers.fixed(abs(change), 1)}% {'less' if change < 0 else 'more'}"
