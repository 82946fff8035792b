"""When to use a technique and when not, derived from its verdicts; what a technique that did not run would need."""

from typing import Any

from scripts.comparison import fronts
from scripts.report import limits, numbers, picture, words

SMALLER = 0.05
"""Memory is one reading a run and can't be tested; less than this share is not called a difference."""
FRONTS = {"rougeL": "ROUGE-L", "throughput_samples_per_s": "samples a second"}


def summary(technique: dict[str, Any], comparison: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """Return the verdict in words: what speaks for and against it, its place among the others, where it is chosen."""
    told = [_advice(technique, comparison, labels), _front(technique, comparison, labels)]
    return [entry for entry in [*told, _rank(technique, comparison), *_chosen(technique, comparison)] if entry]


def needed(technique: dict[str, Any]) -> str:
    """Return what a technique that did not run would need."""
    parallel = (technique["settings"] or {}).get("parallel") or {}
    processes = (parallel.get("tensor") or 1) * (parallel.get("pipeline") or 1) if isinstance(parallel, dict) else 1
    size = words.value(technique, "needed_bytes_per_device")
    if technique["status"] == "out_of_memory":
        room = f"{words.amount(size, numbers.BYTES)} on each device" if size else "more memory a device"
        return f"It would need {room}, weights of fewer bits, or more devices to share them."
    if technique["status"] == "unsupported" and processes > 1:
        return f"It would need {processes} devices and a model that can be split over them."
    if technique["status"] == "failed":
        return "It would need a run that comes to its end; the next call of the workflow tries again."
    if technique["status"] == "invalid":
        return "It would need a run whose evidence agrees with its settings; its figures are withdrawn until then."
    return "It would need a machine, a model or library versions for which that reason does not hold."


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


GAINS = {"latency": "is faster", "throughput": "serves more samples a second", "memory": "has a smaller peak memory",
         "quality": "has a higher ROUGE-L", "memory a device": "needs less memory on each device"}  # fmt: skip
LOSSES = {"latency": "is slower", "throughput": "serves fewer samples a second", "memory": "has a larger peak memory",
          "quality": "does not keep the quality"}  # fmt: skip


def _advice(technique: dict[str, Any], comparison: dict[str, Any], labels: dict[str, str]) -> str:
    if technique["changes"]["parent"]["figures"] is None:
        return _root(technique, comparison, labels)
    parents = [entry for entry in comparison["techniques"] if entry["name"] == technique["parent"]]
    gains, losses, open_ = sides(technique)
    if parents and _share_of_device(technique, parents[0]) <= 1 - SMALLER:
        gains.append("memory a device")
    label = labels.get(technique["parent"], technique["parent"])
    kept = technique["changes"]["parent"]["quality_kept"]["verdict"]
    same = technique["matches"].get("audit") or {}
    identical = same.get("verdict") == "identical" and not technique["matches"].get("reason")
    tail = ""
    if "quality" in open_ and not identical:
        tail = " Whether it keeps the quality is undecided; more prompts would tell."
    elif kept is None:
        tail = " Its quality is not part of this verdict: it was not measured or not compared."
    untested = [what for what in open_ if what != "quality"]
    for_it, against = words.listed([GAINS[what] for what in gains]), words.listed([LOSSES[what] for what in losses])
    if gains and not losses:
        also = ", and writes the same tokens" if identical else ", and keeps the quality" if kept == "kept" else ""
        return f"Use it rather than {label}: it {for_it}{also}.{tail}"
    if gains:
        verb = "count" if len(gains) > 1 else "counts"
        use = f"Use it where {words.listed(gains)} {verb} more than {words.listed(losses)}"
        return f"{use}: against {label} it {for_it}, but {against}.{tail}"
    if losses:
        return f"No measured reason to use it rather than {label}: it {against}, and no gain is shown.{tail}"
    if untested:
        return f"Neither for nor against it: its speed against {label} was not tested.{tail}"
    also = " and the same tokens" if identical else ", and the quality is kept" if kept == "kept" else ""
    return (
        f"No measured reason to use it rather than {label}, nor to avoid it: "
        f"no measurable difference in speed{also}.{tail}"
    )


def _share_of_device(technique: dict[str, Any], parent: dict[str, Any]) -> float:
    """Return what each of several devices must have over what the parent's must; 1 where that says nothing new."""
    own, other = technique["smallest_gpu"], parent["smallest_gpu"]
    if not own or not other or own["devices"] <= other["devices"]:
        return 1.0
    return own["needed_bytes"] / other["needed_bytes"]


def _root(technique: dict[str, Any], comparison: dict[str, Any], labels: dict[str, str]) -> str:
    """Return what is said of a technique without a parent: which others gain on it, or that it can't be compared."""
    better = [other["label"] for other in comparison["techniques"] if _improves(other, technique["name"])]
    if technique["parent"] is not None:
        return f"It can't be judged against its parent: {technique['changes']['parent']['reason'] or 'not compared'}."
    if not better:
        return "It is the reference; no other technique gains on it without a loss that was measured."
    return f"It is the reference; these gain on it without a measured loss: {words.listed(better)}."


def _improves(technique: dict[str, Any], baseline: str) -> bool:
    """Return whether a technique gains on the baseline, loses nothing that was measured and leaves no quality open."""
    if technique["status"] != "ok" or technique["changes"]["baseline"]["against"] != baseline:
        return False
    gains, losses, open_ = sides(technique, "baseline")
    return technique["name"] != baseline and bool(gains) and not losses and "quality" not in open_


def _front(technique: dict[str, Any], comparison: dict[str, Any], labels: dict[str, str]) -> str:
    """Return whether it is on the Pareto front of latency and quality (or throughput, without quality)."""
    known = comparison["fronts"]["latency"]
    if technique["name"] not in known or len(known) < 2:
        return ""
    second = picture.quality_key(comparison)
    chance, by = (known[technique["name"]][key] for key in ("chance", "behind"))
    named = f"the Pareto front of mean latency and {FRONTS[second]}"
    drawn = (comparison["ranking"] or {}).get("draws")
    told = f" (chance {limits.chance(chance)})" if drawn else ", by the measured values"
    if fronts.place(chance) == "firm":
        return f"It is on {named}{told}."
    tested = second in comparison["fronts"]["above"]
    measurably = "measurably " if tested else ""
    behind = f": {labels.get(by or '', '')} has a lower latency and is not {measurably}behind in {FRONTS[second]}"
    if fronts.place(chance) == "possible":
        return f"It is possibly on {named}{told}{behind} in the other draws."
    return f"It is not on {named}{told}{behind}."


def _rank(technique: dict[str, Any], comparison: dict[str, Any]) -> str:
    overall = (comparison.get("ranking") or {}).get("overall") or []
    row = next((row for row in overall if row["technique"] == technique["name"]), None)
    if row is None or row.get("score") is None:
        return ""
    chance = row.get("chance_best")
    chance = f", and the best in {numbers.share(chance)} of the draws" if chance is not None else ""
    return f"Rank {row['rank']} of {len(overall)} with the study's weights{chance}."


def _chosen(technique: dict[str, Any], comparison: dict[str, Any]) -> list[str]:
    names = [entry["label"] for entry in comparison.get("scenarios") or [] if entry.get("winner") == technique["name"]]
    return (
        [f"First in {'the scenario' if len(names) == 1 else 'the scenarios'} {words.listed(names)}."] if names else []
    )
