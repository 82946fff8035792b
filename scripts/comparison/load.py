"""Techniques beside each other under load: who serves the most requests a second within the limits."""

from typing import Any

import numpy as np

from scripts.comparison import costs
from scripts.comparison.loading import Metrics
from scripts.metrics import resampling
from scripts.metrics.families.load import CAPACITY
from scripts.metrics.figures import Figure

MIN_RUNS = 2
NO_DIFFERENCE = "no measurable difference"


def load(study: dict[str, Any], metrics: Metrics, on_gpus: bool) -> dict[str, Any] | None:
    """Compare the techniques that were tested under load.

    Args:
        study: with ``load``, the study's settings, and ``comparison``, which may set a price.
        metrics: per technique the content of its metrics file.
        on_gpus: whether each process has a GPU of its own.

    Returns:
        None where none was tested. ``settings``; ``order``: names by capacity, the highest first; ``missing``: the
        others with the reason; ``ratios``: of the first to each of the others, with a 95% interval by Welch's t on the
        logarithms of the runs' rates, and ``verdict``: ``higher``, ``no measurable difference``, or None where a
        technique has fewer than two runs, or each the same rate in all. Holm's correction is over the pairs, and there
        is no difference unless the rates that broke the other's limits are below those that kept the first's.
        ``costs``: per name device hours and price of a million headlines at capacity.
    """
    tested = {name: content for name, content in metrics.items() if content.get("load")}
    if not tested:
        return None
    capacity = {name: content["figures"][CAPACITY] for name, content in tested.items() if _known(content)}
    order = sorted(capacity, key=lambda name: -capacity[name]["value"])
    price = costs.price(study.get("comparison") or {})
    return {
        "settings": study.get("load") or next(iter(tested.values()))["load"]["settings"],
        "order": order,
        "missing": {name: _reason(content) for name, content in tested.items() if name not in capacity},
        "ratios": _ratios([(name, capacity[name]) for name in order]),
        "costs": {name: _costs(tested[name], capacity[name], price, on_gpus) for name in order},
    }


def _known(content: dict[str, Any]) -> bool:
    figure = content["figures"].get(CAPACITY) or {}
    return content["load"]["status"] == "ok" and figure.get("value") is not None


def _reason(content: dict[str, Any]) -> str:
    return content["load"]["reason"] or (content["figures"].get(CAPACITY) or {}).get("note") or "no rate was found"


def _ratios(ordered: list[tuple[str, Figure]]) -> list[dict[str, Any]]:
    if not ordered:
        return []
    (first, best), *others = ordered
    found = [_ratio(first, best["runs"], name, figure["runs"]) for name, figure in others]
    apart = {name: _apart(best, figure) for name, figure in others}
    tested = sorted((each for each in found if each["p"] is not None), key=lambda each: each["p"])
    significant = True
    for place, each in enumerate(tested):
        significant = significant and each["p"] <= (1 - resampling.LEVEL) / (len(tested) - place)
        each["verdict"] = "higher" if significant and apart[each["to"]] else NO_DIFFERENCE
    return found


def _apart(best: Figure, other: Figure) -> bool:
    """Whether the other's limits were broken at lower rates than the best kept its own at, by their geometric means."""
    breaks = [end for _, end in other["bracket"]]
    return None not in breaks and bool(np.log(breaks).mean() < np.log([start for start, _ in best["bracket"]]).mean())


def _ratio(first: str, best: list[float], name: str, runs: list[float]) -> dict[str, Any]:
    ours, theirs = np.log(best), np.log(runs)
    value = float(np.exp(ours.mean() - theirs.mean()))
    found = {"of": first, "to": name, "value": value, "low": None, "high": None, "p": None, "verdict": None}
    if min(len(best), len(runs)) < MIN_RUNS:
        return found
    if not ours.var() + theirs.var():  # the same rate in every run: nothing to divide by
        return found
    from scipy import stats  # late: it takes a second

    test = stats.ttest_ind(ours, theirs, equal_var=False)
    bounds = test.confidence_interval(resampling.LEVEL)
    return found | {"low": float(np.exp(bounds.low)), "high": float(np.exp(bounds.high)), "p": float(test.pvalue)}


def _costs(content: dict[str, Any], capacity: Figure, price: dict[str, Any], on_gpus: bool) -> dict[str, Figure]:
    served = {"figures": {"throughput_samples_per_s": capacity}, "processes": content.get("processes")}
    hours = costs.device_hours(served, on_gpus)
    return {"device_hours_per_million": hours, "cost_per_million": costs.cost_per_million(hours, price)}
