"""The answer, in the sentences that a reader takes away: what to use, its price, how sure that is, and the doubt."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from scripts.comparison import sufficiency
from scripts.metrics import resampling
from scripts.report import gains, load, rouge_words, rows, templates, words
from scripts.report.gains import Gains
from scripts.report.templates import say

POOR = 0.1
"""Headlines of other news score 0.03 to 0.04 on average; below this, little can be lost."""
FASTER = "faster"
EQUAL = 0.995
"""A ratio of latencies this near to 1 is 1.00 in words."""
MORE = 1.05
"""A technique for bulk work is worth a second sentence from this gain in samples a second over the first on."""


def sentences(comparison: dict[str, Any]) -> list[str]:
    """Return the answer in at most five lines.

    They say what to use and for what, its price, how sure that is, the one doubt that matters most, and which
    techniques failed. Each stands only where the study has the figures for it.
    """
    return [line for line in (headline(comparison), *beside(comparison), failed(comparison)) if line]


def headline(comparison: dict[str, Any]) -> str:
    """Return what to use: for single requests, and for bulk work where that is another technique."""
    by_name = rows.by_name(comparison)
    uses = comparison["uses"]
    if not comparison["answer"]["fastest"]:
        return _told("headline", "nothing", count=len(by_name))
    if rows.no_winner(comparison):
        return no_winner(comparison)
    if not uses:
        fastest = by_name[comparison["answer"]["fastest"]]["label"]
        return _told("headline", "no_baseline", fastest=fastest, ran=comparison["answer"]["ran"])
    one, bulk = chosen(comparison)
    said = [single(comparison, one, both=bulk is one, bulk=bulk is not None)]
    if bulk not in (None, one):
        said.append(in_bulk(bulk, same=bulk.text == one.text))
    return " ".join(said)


def no_winner(comparison: dict[str, Any]) -> str:
    """Return that no technique is called the best, and what is missing for that; empty where nothing is."""
    return _told("no_winner", None, missing=[_missing(each) for each in rows.no_winner(comparison)])


def _missing(lacks: dict[str, Any]) -> str:
    texts = templates.general("flags")
    kinds = [texts.get(kind, {"text": kind.replace("_", " ")})["text"] for kind in lacks.get("flags", [])]
    return _told("missing", lacks["kind"], **(lacks | {"flags": kinds}))


def chosen(comparison: dict[str, Any]) -> tuple[Gains, Gains | None]:
    """Return the technique for single requests, and that for bulk work.

    Returns:
        The second is the first where it serves about as much, and None where nothing beats the baseline at it.
    """
    uses = comparison["uses"]
    of = {name: gains.gains(technique, comparison) for name, technique in rows.by_name(comparison).items()
          if technique["status"] == "ok"}  # fmt: skip
    baseline = of[comparison["answer"]["reference"]]
    first = of[uses["alone"][0]] if uses["alone"] else baseline
    one = first if is_faster(first, baseline) else baseline
    bulk = of[uses["bulk"][0]] if uses["bulk"] else one
    if (bulk.throughput or 1.0) < MORE:
        return one, None
    if (bulk.throughput or 1.0) < MORE * (one.throughput or 1.0) or one.name in (uses["bulk_ties"] or []):
        return one, one if one is not baseline else None
    return one, bulk


def single(comparison: dict[str, Any], it: Gains, both: bool = False, limited: bool = False, bulk: bool = False) -> str:
    """Return the sentence that recommends a technique for single requests, or under a reader's limits.

    ``both``: it is for bulk work too; ``bulk``: bulk work is spoken of, in this sentence or the next.
    """
    if limited and not it.faster:
        return _told("headline", "reference", it=asdict(it))
    if it.name == comparison["answer"]["reference"]:
        uses = comparison["uses"]
        return _told(
            "headline", "stay", it=asdict(it), by=uses["by"], alone=comparison["answer"]["ran"] == 1, bulk=bulk
        )
    return _told("headline", "one", it=asdict(it), both=both)


def in_bulk(it: Gains, same: bool = False) -> str:
    """Return the sentence that recommends a technique for bulk work."""
    return _told("headline", "bulk", it=asdict(it), same=same)


def without_quality(comparison: dict[str, Any], it: Gains) -> str:
    """Return the sentence for limits that only techniques meet whose quality is not shown to be kept."""
    return _told("headline", "rest", it=asdict(it), by=comparison["uses"]["by"])


def beside(comparison: dict[str, Any]) -> list[str]:
    """Return price, certainty and doubt, a sentence or two each."""
    if rows.no_winner(comparison) or not comparison["uses"]:
        return [load.answer(comparison)]
    one, bulk = chosen(comparison)
    price = [] if one.name == comparison["answer"]["reference"] else [_told("price", "one", it=asdict(one))]
    if bulk not in (None, one):
        waits = bulk.latency / one.latency if bulk.latency and one.latency else None
        price.append(_told("price", "bulk", it=asdict(bulk), waits=waits, one=one.label))
    return [" ".join(filter(None, price)), _sure(comparison, one), load.answer(comparison), doubt(comparison)]


def doubt(comparison: dict[str, Any]) -> str:
    """Return the doubt that matters most to the answer, or that there is none."""
    by_name = rows.by_name(comparison)
    one, bulk = chosen(comparison)
    baseline = by_name[comparison["answer"]["reference"]]
    if not comparison["answer"]["quality_measured"]:
        return _told("doubt", "random")
    # Where the text is the baseline's own, what a score can see does not matter.
    scored = not all(it.same for it in (one, bulk or one))
    if scored and (unseen := rouge_words.unseen_letters([baseline])):
        return _told("doubt", "unseen", unseen=unseen)
    score = baseline["figures"]["rouge1"]["value"]
    if scored and score is not None and score < POOR:
        return _told("doubt", "poor", label=baseline["label"], score=score)
    named = [by_name[name] for name in dict.fromkeys([one.name, baseline["name"], *([bulk.name] if bulk else [])])]
    # Answers without a headline are no doubt about a speed, but about the use of it all.
    if flagged := _flagged(named, lambda kind: kind == "unusable" or kind not in sufficiency.MINOR):
        return flagged
    if better := _faster_at_a_loss(comparison, one):
        verdict = by_name[better.name]["quality_kept"]["verdict"]
        return _told("doubt", "faster", label=better.label, faster=better.faster, verdict=verdict)
    if flagged := _flagged(named, lambda kind: kind in sufficiency.MINOR):
        return flagged
    return _told("doubt", "none", tested=comparison["answer"]["ran"] == 1 or _is_tested(comparison))


def _flagged(techniques: list[dict[str, Any]], counts: Callable[[str], bool]) -> str:
    """Return the doubt of the first technique with flags of the kinds that count."""
    for technique in techniques:
        shown = zip(technique["flags"] or [], rows.flags(technique), strict=True)
        if flags := list(dict.fromkeys(told["text"] for flag, told in shown if counts(flag["kind"]))):
            return _told("doubt", "flagged", label=technique["label"], flags=flags)
    return ""


def failed(comparison: dict[str, Any]) -> str:
    """Name the techniques that failed, which the next call of the workflow tries again."""
    labels = [technique["label"] for technique in comparison["techniques"] if technique["status"] == "failed"]
    return words.sentence(_told("failed", None, failed=labels, count=len(comparison["techniques"]))) if labels else ""


def is_faster(it: Gains, baseline: Gains) -> bool:
    """Whether a technique is shown to be faster than the baseline; untested, whether it was."""
    if it.name == baseline.name or it.latency is None:
        return False
    return it.figure.get("verdict") == FASTER if words.is_tested(it.figure) else it.latency < 1


def _sure(comparison: dict[str, Any], one: Gains) -> str:
    """Say how sure the choice for single requests is; nothing where there was no other technique to choose."""
    if comparison["answer"]["ran"] == 1:
        return ""
    uses, by_name = comparison["uses"], rows.by_name(comparison)
    ties, alone = uses["alone_ties"], uses["alone"]
    runs = _runs(comparison)
    # Ahead by its mean, which the test of its change does not confirm; as good as equal ones are ties.
    ahead = None if one.name in alone[:1] or not alone else gains.gains(by_name[alone[0]], comparison)
    if ahead and (ahead.latency or 1.0) > EQUAL:
        ties, ahead = [ahead.name, *(name for name in ties or [] if name != one.name)], None
    return _told(
        "sure", None, tested=_is_tested(comparison), runs=runs, few=resampling.MIN_PROMPTS,
        interval=gains.interval(one), prompts=comparison["dataset"]["samples"],
        ties=[] if ahead else _ties(comparison, one, ties or []), ahead=ahead and asdict(ahead),
        others="some" if len({*alone, one.name}) > 1 else "in batches" if len(uses["bulk"]) > 1 else "none",
        by=uses["by"],
    )  # fmt: skip


def _is_tested(comparison: dict[str, Any]) -> bool:
    uses = comparison["uses"]
    return uses["alone_ties"] is not None or (_runs(comparison) > 1 and len(uses["alone"]) < 2)


def _runs(comparison: dict[str, Any]) -> int:
    return min(technique["run_count"] for technique in rows.ran(comparison["techniques"]))


def _ties(comparison: dict[str, Any], one: Gains, names: list[str]) -> list[str]:
    """Return the techniques that are not shown to be slower than the first, each with what speaks for it."""
    by_name = rows.by_name(comparison)
    found = []
    for it in (gains.gains(by_name[name], comparison) for name in names):
        memory = it.memory / one.memory if it.memory and one.memory else None
        rate = it.throughput / one.throughput if it.throughput and one.throughput else None
        found.append(_told("tie", None, label=it.label, memory=memory, rate=rate, same=it.same, first_same=one.same))
    return found


def _faster_at_a_loss(comparison: dict[str, Any], one: Gains) -> Gains | None:
    """Return the fastest technique that is shown to be faster than the baseline, and than the first by its mean."""
    known = [gains.gains(each, comparison) for each in rows.ran(comparison["techniques"])
             if (each["quality_kept"]["verdict"] or "kept") != "kept"]  # fmt: skip
    ahead = [it for it in known if not it.same and it.latency and it.latency < (one.latency or 1.0) / MORE
             and it.figure.get("verdict") == FASTER]  # fmt: skip
    return min(ahead, key=lambda it: it.latency, default=None)


def _told(key: str, part: str | None, **context: Any) -> str:
    """Render a template of the answer, or of one of its parts."""
    found = templates.general("answer")[key]
    place = f"report/words/answer.yaml, {key}" + (f", {part}" if part else "")
    return say(place, found[part] if part else found, context)
