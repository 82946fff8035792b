"""Overall scores of techniques, and each one's chance of being the best."""

from typing import Any

from scripts.comparison import gains, limits, scores
from scripts.comparison.columns import Columns
from scripts.comparison.loading import Metrics
from scripts.foundation.text import listed
from scripts.metrics import resampling

WEIGHTS = {"latency": 0.5, "throughput": 0.5, "capacity": 0, "memory": 1, "quality": 3}
NOT_MEASURED = "it was not measured"
NO_LOAD = "no technique was put under load"
NO_RATE = "no technique that was put under load has a rate at which it is known to keep the limits"
RECIPROCAL = "every technique takes requests one by one, so it is 1 / latency; its weight is latency's"


def ranking(
    study: dict[str, Any], rows: list[dict[str, Any]], metrics: Metrics, columns: Columns
) -> dict[str, Any] | None:
    """Rank the techniques of a study.

    Args:
        study: ``ranking`` (its ``weights``) and ``baseline``.
        rows: the techniques of the comparison, in report order.
        metrics: per technique the content of its metrics file.
        columns: of all techniques that ran.

    Returns:
        None where nothing ran. ``weights``: as configured, or :func:`merged`. ``one_by_one``: whether every technique
        takes single requests, so that throughput is no criterion beside latency. ``criteria``: those that were
        measured; ``left_out``: why the others are not among them. ``reference``: the technique whose score is 1: the
        baseline, or the first that ran where that one did not or has no value to compare with. ``bases``: per criterion
        what gains are taken over: the reference, but of requests a second under load, where that one has none, the
        first technique that has. ``log_gains``: per technique and criterion the logarithm of its gain; without a value
        there is none.
        ``log_gains_as_measured``: the same without the reference process's units (``gains.in_reference_units``).
        ``spread``: the draws of the gains that vary (``scores.pack``); ``draws``: how many, 0 where nothing
        could be drawn; ``covers``: which levels of variation (prompt, run) they cover. ``limit_values``: per technique
        (``limits.limit_values``). ``overall``: the techniques that have every criterion that counts, best first.
    """
    ran = {row["name"]: row for row in rows if row["status"] == "ok"}
    if not ran:
        return None
    one_by_one = all((metrics[name].get("batch_size") or 1) == 1 for name in ran)
    known = {name: gains.values(metrics[name]) for name in ran}
    if one_by_one:
        known = {name: {key: each for key, each in own.items() if key != "throughput"} for name, own in known.items()}
    weights = merged(weights_of(study), one_by_one)
    reference, criteria = _reference(study.get("baseline"), known)
    bases = _bases(reference, criteria, known)
    compared = {key: known[name][key] for key, name in bases.items()}
    as_measured = {name: gains.log_gains(own, compared) for name, own in known.items()}
    log_gains = gains.in_reference_units(as_measured, reference, metrics, columns)
    enough = gains.enough_prompts(reference, columns)
    drawn = gains.draw(bases, log_gains, metrics, columns) if enough else gains.Draws()
    labels = {name: row["label"] for name, row in ran.items()}
    result = {
        "weights": weights,
        "one_by_one": one_by_one,
        "criteria": list(bases),
        "left_out": {
            key: RECIPROCAL if one_by_one and key == "throughput" else _left_out(key, reference, known, metrics)
            for key in gains.criteria()
            if key not in bases
        },
        "reference": reference,
        "bases": bases,
        "draws": gains.DRAWS if enough else 0,
        "covers": _covers(drawn, labels) if enough else _too_few(metrics[reference]),
        "log_gains": log_gains,
        "log_gains_as_measured": as_measured,
        "spread": {
            name: {criterion: scores.pack(values) for criterion, values in own.items()}
            for name, own in drawn.gains.items()
        },
        "limit_values": {row["name"]: limits.limit_values(row, ran[reference], columns) for row in rows},
    }
    return result | {"overall": _overall(result)}


def weights_of(study: dict[str, Any]) -> dict[str, float]:
    """Return the study's weights."""
    return WEIGHTS | ((study.get("ranking") or {}).get("weights") or {})


def merged(weights: dict[str, float], one_by_one: bool) -> dict[str, float]:
    """Return the weights with throughput's added to latency's where the two are one figure, so that both count once."""
    if not one_by_one:
        return weights
    return weights | {"latency": weights.get("latency", 0) + weights.get("throughput", 0), "throughput": 0}


def counted_shares(weights: dict[str, float], ranking: dict[str, Any]) -> dict[str, float]:
    """Return the shares of the criteria that count.

    Criteria left out do not count, unless all with a weight were left out; then nothing can be ranked.
    """
    return scores.shares(weights, ranking["criteria"]) or scores.shares(weights, gains.criteria())


def unmeasured(name: str, counted: dict[str, float], ranking: dict[str, Any]) -> list[str]:
    """Return the criteria that count and that a technique has no value of."""
    return [criterion for criterion in counted if criterion not in ranking["log_gains"][name]]


def _overall(ranking: dict[str, Any]) -> list[dict[str, Any]]:
    counted = counted_shares(ranking["weights"], ranking)
    complete = [name for name in ranking["log_gains"] if not unmeasured(name, counted, ranking)]
    found = scores.ranked(complete, ranking, counted) if counted else []
    return [row | {"rank": rank} for rank, row in enumerate(found, start=1)]


def _reference(baseline: str | None, known: dict[str, dict[str, float]]) -> tuple[str, list[str]]:
    """Return the reference, and the criteria that it has a positive value of and that count here.

    Requests a second under load are not among them (:func:`_bases`). A criterion that no technique has a value of does
    not count. Without the baseline the first technique with all that count is the reference; where none has, the
    criteria that the first candidate lacks don't count either.
    """
    judged = [key for key in gains.criteria() if key != gains.CAPACITY]
    measured = [key for key in judged if any(own.get(key) for own in known.values())]
    candidates = [name for name in (baseline, *known) if name in known]
    complete = [name for name in candidates if all(known[name].get(key) for key in measured)]
    reference = (complete or candidates)[0]
    return reference, [key for key in measured if known[reference].get(key)]


def _bases(reference: str, criteria: list[str], known: dict[str, dict[str, float]]) -> dict[str, str]:
    """Return per criterion that counts what gains are taken over, in the criteria's order.

    Few techniques are put under load, and the baseline seldom: another base changes no order of scores, while another
    reference for all criteria would change every score.
    """
    found = dict.fromkeys(criteria, reference)
    served = [name for name in (reference, *known) if known[name].get(gains.CAPACITY)]
    if served:
        found[gains.CAPACITY] = served[0]
    return {key: found[key] for key in gains.criteria() if key in found}


def _left_out(criterion: str, reference: str, known: dict[str, dict[str, float]], metrics: Metrics) -> str:
    """Say why a criterion does not count."""
    if criterion == gains.CAPACITY:
        return NO_RATE if any(content.get("load") for content in metrics.values()) else NO_LOAD
    if any(own.get(criterion) for own in known.values()):
        return f"{reference}, which the others are compared with, has no value of it"
    if any(criterion in own for own in known.values()):
        return "it is zero for every technique"
    if criterion == "quality":
        reasons = [content.get("unscored_reason") for content in metrics.values() if content["status"] == "ok"]
        return next(filter(None, reasons), NOT_MEASURED)
    return metrics[reference]["figures"][gains.criteria()[criterion].key].get("note") or NOT_MEASURED


def _covers(drawn: gains.Draws, labels: dict[str, str]) -> str:
    """Say which levels of variation (prompt, run) the draws cover."""
    if drawn.single_run == list(labels):
        said = "prompts alone: every technique ran once"
    elif drawn.single_run:
        said = f"prompts and runs; prompts alone for {listed([labels[name] for name in drawn.single_run])}, run once"
    else:
        said = "prompts and runs"
    if drawn.unresampled:
        named = listed([labels[name] for name in drawn.unresampled])
        said += f"; not the prompts in the speed of {named}: too few batches to resample"
    return said


def _too_few(content: dict[str, Any]) -> str:
    prompts = content["sample_count"]
    return f"neither prompts nor runs: {prompts} prompts are too few to resample ({resampling.MIN_PROMPTS} are needed)"
