"""A figure: one number with its unit, its n and its 95% interval, or the reason why there is none."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from scripts.metrics import resampling

Figure = dict[str, Any]
ONE_READING = "one reading a run: no interval"


def figure(
    value: float | None,
    unit: str,
    n: int,
    bounds: tuple[float | None, float | None] = (None, None),
    interval: str | None = None,
    note: str | None = None,
    **extra: Any,
) -> Figure:
    """Build a figure.

    Args:
        value: the number, or None when there is none; then ``note`` says why.
        unit: unit of the value and of its bounds, e.g. ``s``, ``B``, ``tokens/s``; ``1`` for a plain ratio.
        n: how many observations the value rests on (prompts, gaps between tokens, runs).
        bounds: low and high end of the 95% interval; None where an end is not known.
        interval: how the bounds were made (``bootstrap``, ``order statistics over prompts``, ``wilson``), or None.
        note: a remark for the reader.
        extra: more keys, e.g. ``runs`` with one value a run.
    """
    low, high = bounds
    return {"value": value, "low": low, "high": high, "interval": interval, "n": n, "unit": unit, "note": note, **extra}


def missing(unit: str, note: str) -> Figure:
    """Build a figure that has no value, for the reason that ``note`` gives."""
    return figure(None, unit, 0, note=note)


def value_of(content: dict[str, Any], key: str) -> float | None:
    """Return the value of a figure in a metrics file or a comparison's technique, None where there is none."""
    return (content["figures"].get(key) or {}).get("value")


def few_note(n: int, what: str = "prompts") -> str:
    """Say that ``n`` observations are too few for an interval."""
    return f"{n} {what} are too few for an interval (at least {resampling.MIN_PROMPTS})"


def ratio_figures(columns: dict[str, tuple[np.ndarray, np.ndarray, str]]) -> dict[str, Figure]:
    """Build figures that are a ratio of two sums over prompts, with bootstrap intervals.

    Args:
        columns: per figure its numerators and denominators, each of shape (prompts,), and its unit. Denominators of
            one make it a mean; a prompt that does not count has a numerator and a denominator of zero.
    """
    tops = np.array([top for top, _, _ in columns.values()], dtype=float)
    bottoms = np.array([bottom for _, bottom, _ in columns.values()], dtype=float)
    counted = (bottoms != 0).sum(axis=1)
    spread = None
    if tops.shape[1] >= resampling.MIN_PROMPTS:
        means = resampling.resampled_means(np.concatenate([tops, bottoms]))  # (2 * figures, resamples)
        spread = (means[: len(tops)], means[len(tops) :])
    figures = {}
    for row, (key, (_, _, unit)) in enumerate(columns.items()):
        n = int(counted[row])
        if n == 0:
            figures[key] = missing(unit, "no prompt has a value")
            continue
        value = float(tops[row].sum() / bottoms[row].sum())
        if spread is None or n < resampling.MIN_PROMPTS:
            figures[key] = figure(value, unit, n, note=few_note(n))
            continue
        bounds = resampling.ratio_interval(spread[0][row], spread[1][row])
        figures[key] = figure(value, unit, n, bounds, interval="bootstrap")
    return figures


def mean_figures(columns: dict[str, tuple[np.ndarray, str]]) -> dict[str, Figure]:
    """Build means over prompts with bootstrap intervals from columns of shape (prompts,), NaN where no value is."""
    ratios = {}
    for key, (values, unit) in columns.items():
        known = ~np.isnan(values)
        ratios[key] = (np.where(known, values, 0.0), known.astype(float), unit)
    return ratio_figures(ratios)


def share_figure(hits: int, n: int) -> Figure:
    """Build a share of ``n`` prompts with its Wilson interval, which is also valid at 0 and 1."""
    if n == 0:
        return missing("1", "no prompt has a value")
    if n < resampling.MIN_PROMPTS:
        return figure(hits / n, "1", n, note=few_note(n), count=hits)
    from scipy import stats  # late: it takes a second

    bounds = stats.binomtest(hits, n).proportion_ci(confidence_level=resampling.LEVEL, method="wilson")
    return figure(hits / n, "1", n, (float(bounds.low), float(bounds.high)), interval="wilson", count=hits)


def averaged(table: np.ndarray) -> np.ndarray:
    """Average over the first axis: (runs or draws, prompts) to (prompts,); NaN only where there is no value at all."""
    known = ~np.isnan(table)
    counts = known.sum(axis=0)
    means = np.full(table.shape[1], np.nan)
    np.divide(np.where(known, table, 0.0).sum(axis=0), counts, out=means, where=counts > 0)
    return means


def nearest_rank(ordered: Sequence[float], q: float) -> float:
    """Return the nearest-rank percentile: the smallest of the ascending values with a share ``q`` at or below it."""
    return float(ordered[max(math.ceil(round(q * len(ordered), 9)), 1) - 1])


def repeated_figure(values: Sequence[float], unit: str) -> Figure:
    """Build the mean of one reading a run; the readings are kept in place of an interval."""
    runs = [float(value) for value in values]
    note = None if len(runs) > 1 else ONE_READING
    return figure(float(np.mean(runs)), unit, len(runs), note=note, runs=runs)
