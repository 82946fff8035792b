"""The sentences that a reader takes away, at most three, derived from the comparison."""

from typing import Any

from scripts.comparison import verdicts
from scripts.comparison.verdicts import SAME
from scripts.report import limits, numbers, rouge_words, rows, words

# The verdict on quality -> how it is said; ``of`` are the figures that it rests on.
QUALITY = {
    "kept": "keeps {reference}'s quality ({of})",
    "not kept": "does not keep {reference}'s quality ({of})",
    "undecided": "whether it keeps {reference}'s quality is undecided ({of})",
}

# What a technique may give or cost: its name, and the verdicts that say which of the two.
BARGAIN = {
    "latency_change_percent": ("latency", "faster", "slower"),
    "throughput_change_percent": ("samples/s", "higher", "lower"),
    "peak_memory_change_percent": ("peak memory", "lower", "higher"),
}
MEMORY = 5.0
"""Memory is one reading a run and has no test: a change of fewer percent is not worth a word."""

POOR = 0.1
"""Headlines of other news score 0.03 to 0.04 on average; below this, little can be lost."""

# From this chance of being the best on, a technique leads; another's chance is worth a word from RIVAL on.
LEADS = 0.75
RIVAL = 0.1


def sentences(comparison: dict[str, Any]) -> list[str]:
    """Return the answer in at most three lines, and where techniques failed one more that names them.

    They say which technique is the best by its overall score and how sure that is, which is the fastest at what
    quality, and which needs the least memory. Each stands only where the study has the figures for it.
    """
    return [*_answer(comparison), *_failed(comparison["techniques"])]


def _failed(techniques: list[dict[str, Any]]) -> list[str]:
    """Name the techniques that failed, which the next call of the workflow tries again."""
    failed = [technique["label"] for technique in techniques if technique["status"] == "failed"]
    if not failed:
        return []
    verb = "has" if len(failed) == 1 else "have"
    return [f"{len(failed)} of {len(techniques)} techniques failed and {verb} no figures: {words.listed(failed)}."]


def _answer(comparison: dict[str, Any]) -> list[str]:
    answer = comparison["answer"]
    by_name = rows.by_name(comparison)
    if not answer["fastest"]:
        return [f"None of the {len(by_name)} techniques ran to the end on this machine; the table says why."]
    reference = by_name.get(answer["reference"])
    result = [_overall(comparison, by_name, reference)] if _ranked(comparison) else []
    speed = _speed(answer, by_name, reference)
    if answer["fastest_ties"]:
        tied = ", ".join(by_name[name]["label"] for name in answer["fastest_ties"])
        speed = f"{speed} Not shown to be slower than {by_name[answer['fastest']]['label']}: {tied}."
    result.append(speed + _poor(reference))
    if answer["smallest"]:
        result.append(_memory(by_name[answer["smallest"]], reference))
    return result


def _poor(reference: dict[str, Any] | None) -> str:
    """Return a warning where the baseline's headlines are hardly better than any others: then little can be lost."""
    value = reference["figures"]["rouge1"]["value"] if reference else None
    if value is None or value >= POOR:
        return ""
    if unseen := rouge_words.unseen_letters([reference]):
        return f" Mind that quality kept says little here. {unseen}"
    like = f"{reference['label']}'s headlines hardly resemble the references (ROUGE-1 {numbers.fixed(value, 3)})"
    return f" Mind that {like}, so quality kept says little here."


def _ranked(comparison: dict[str, Any]) -> bool:
    """Tell whether there is a choice: one technique alone is the best of nothing."""
    return bool(comparison["ranking"]) and len(comparison["ranking"]["overall"]) > 1


def _overall(comparison: dict[str, Any], by_name: dict[str, Any], reference: dict[str, Any] | None) -> str:
    """Say which technique has the highest overall score, or between which ones that is not decided."""
    ranking = comparison["ranking"]
    first, *others = ranking["overall"]
    best = by_name[first["technique"]]
    of = limits.reference(comparison)
    rivals = [entry for entry in others if (entry["chance_best"] or 0) >= RIVAL]
    named = [
        f"{by_name[entry['technique']]['label']} ({limits.score(entry['score'])} {of}, {_chance(entry)})"
        for entry in [first, *rivals]
    ]
    weighed = "under the study's own weights"
    if rivals and (first["chance_best"] or 0) < LEADS:
        return f"Which technique is the best overall {weighed} is not decided: {words.listed(named, 'or')}."
    sure = _chance(first, "chance of being the best")
    if best["name"] == ranking["reference"]:
        lead = f"No technique scores higher overall than {best['label']} {weighed} ({sure})"
    else:
        lead = f"{best['label']} is the best overall {weighed}: {limits.score(first['score'])} {of}, {sure}"
    if rivals:
        lead += f"; not ruled out: {words.listed(named[1:])}"
    return f"{lead}{_bargain(best, reference)}{_doubt(best, reference)}."


def _bargain(technique: dict[str, Any], reference: dict[str, Any] | None) -> str:
    """Return what a technique gives and what it costs against the baseline: what a test shows, and memory."""
    if reference is None or technique is reference:
        return ""
    figures = technique["changes"]["baseline"]["figures"]
    sides: dict[str, list[str]] = {"gives": [], "costs": []}
    for key, (name, good, bad) in BARGAIN.items():
        change = figures[key]
        memory = key == "peak_memory_change_percent" and abs(change["value"] or 0) >= MEMORY
        verdict = ("lower" if change["value"] < 0 else "higher") if memory else change.get("verdict")
        if verdict in (good, bad):
            sides["gives" if verdict == good else "costs"].append(f"{name} {numbers.percent(change['value'])}")
    told = [f"{verb} {words.listed(parts)}" for verb, parts in sides.items() if parts]
    return f"; against {reference['label']} it {' and '.join(told)}" if told else ""


def _chance(entry: dict[str, Any], title: str = "chance") -> str:
    """Return a chance, or that none is known, where too few prompts were timed to draw one."""
    if entry["chance_best"] is None:
        return "its chance of being the best is not known"
    return f"{title} {limits.chance(entry['chance_best'])}"


def _doubt(technique: dict[str, Any], reference: dict[str, Any] | None) -> str:
    """Return what must not be left unsaid of a technique's quality where it is recommended."""
    if reference is None or technique is reference or technique["quality_kept"]["verdict"] in (None, "kept"):
        return ""
    return f"; {_quality(technique, reference)}"


def _speed(answer: dict[str, Any], by_name: dict[str, Any], reference: dict[str, Any] | None) -> str:
    """Say which technique is fastest, and whether it keeps quality."""
    fastest = by_name[answer["fastest"]]
    of = f"of the {answer['ran']} techniques that ran"
    if not answer["quality_measured"] or reference is None:
        why = "" if answer["quality_measured"] else "; quality was not measured, as the weights are random"
        return f"{fastest['label']} is the fastest {of}: {_latency(fastest, reference)}{why}."
    kept = by_name[answer["fastest_kept"]]
    if kept is fastest:
        quality = "" if fastest is reference else f" and {_quality(fastest, reference, '')}"
        return f"{fastest['label']} is the fastest {of}{quality}: {_latency(fastest, reference)}."
    rest = f"at {_latency(fastest, reference)}, but {_quality(fastest, reference)}"
    if kept is reference:
        none = f"No technique is shown to be faster than {reference['label']} and to keep its quality"
        return f"{none}; {fastest['label']} is the fastest, {rest}."
    best = f"{kept['label']} is the fastest that {_quality(kept, reference, '')}: {_latency(kept, reference)}"
    return f"{best}; {fastest['label']} is faster still, {rest}."


def _memory(smallest: dict[str, Any], reference: dict[str, Any] | None) -> str:
    """Say which technique has the lowest peak memory, and what that costs in quality."""
    value = smallest["figures"]["peak_memory_bytes"]["value"]
    size = words.amount(value, numbers.BYTES)
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
    judged = smallest["changes"]["baseline"]["quality_kept"]["verdict"]
    quality = f"; {_quality(smallest, reference)}" if judged else ""
    return f"{smallest['label']} has the smallest peak memory, {size}{against}{quality}."


def _latency(technique: dict[str, Any], reference: dict[str, Any] | None) -> str:
    """Return the mean latency and, against the baseline, its change with the interval or what can't be said of it."""
    value = technique["figures"]["latency_s"]["value"]
    told = f"{words.amount(value, numbers.TIME)} a headline"
    if reference is None or technique is reference:
        return told
    change = technique["changes"]["baseline"]["figures"]["latency_change_percent"]
    if change.get("verdict") == SAME:
        return f"{told}, {SAME} from {reference['label']}"
    interval = numbers.percent_interval(change["low"], change["high"])
    beside = [f"95% interval {interval}"] if interval else []
    if change.get("verdict") and not words.is_tested(change):
        beside.append(change["verdict"])
    between = f" ({'; '.join(beside)})" if beside else ""
    return f"{told}, {_less(change['value'])} than {reference['label']}{between}"


def _quality(technique: dict[str, Any], reference: dict[str, Any], subject: str = "it ") -> str:
    """Return the verdict on the quality of a technique against the baseline, with the figures that it rests on."""
    if technique is reference:
        return f"{subject}is the reference for quality"
    change = technique["changes"]["baseline"]
    kept, score = change["quality_kept"], change["figures"]["quality_kept_percent_rougeL"]
    if kept["verdict"] is None:
        return f"its quality can't be judged ({score['note']})"
    of = " and ".join(_rests_on(key, change["figures"][key]) for key in kept["because"] or [verdicts.GATED])
    if change["same_text"] and not kept["because"]:
        of = verdicts.SAME_TEXT
    said = QUALITY[kept["verdict"]].format(reference=reference["label"], of=of)
    return said if kept["verdict"] == "undecided" else f"{subject}{said}"


def _rests_on(key: str, figure: dict[str, Any]) -> str:
    """Return ROUGE-L or the output length against the baseline, with its interval."""
    score = key == verdicts.GATED
    if score and figure["low"] == figure["high"] == figure["value"] == 100:
        return "the same ROUGE-L on every prompt"
    interval = numbers.percent_interval(figure["low"], figure["high"], signed=not score)
    told = f"ROUGE-L {numbers.fixed(figure['value'], 1)}%" if score else f"length {numbers.percent(figure['value'])}"
    return f"{told}, 95% interval {interval}" if interval else f"{told}, no interval"


def _less(change: float) -> str:
    """Return a change in words, e.g. ``57.8% less``."""
    return f"{numbers.fixed(abs(change), 1)}% {'less' if change < 0 else 'more'}"
