"""Timing several sides in turn, and medians of what came out with their intervals."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 95  # percent

Side = Callable[[], float | dict[str, float]]
Figures = dict[str, list[float]]


@dataclass(frozen=True)
class Estimate:
    """A figure, its 95% interval and the number of rounds behind it."""

    value: float
    low: float
    high: float
    rounds: int


def interleaved(sides: dict[str, Side], rounds: int, *, rehearsals: int = 2, seed: int = 0) -> Figures:
    """Go through all sides so many times, in a drawn order each time, so that a drift falls on each of them.

    Args:
        sides: each returns its figure, usually seconds, or several by name; these come out as ``side.name``.
        rounds: how often each side runs.
        rehearsals: rounds before, of which nothing is kept.
        seed: of the order.

    Returns:
        The figures of each side, one a round.
    """
    order = random.Random(seed)
    figures: Figures = {}
    for turn in range(-rehearsals, rounds):
        for name in order.sample(list(sides), len(sides)):
            figure = sides[name]()
            if turn < 0:
                continue
            parts = figure if isinstance(figure, dict) else {"": figure}
            for part, value in parts.items():
                figures.setdefault(f"{name}.{part}".rstrip("."), []).append(value)
    return figures


def estimate(figures: Figures, statistic: Callable[[dict[str, Any]], Any], seed: int = 0) -> Estimate:
    """A statistic of the sides' medians, with a percentile bootstrap over rounds (Efron, 1979).

    Args:
        figures: of each side, one a round; sides of the same round stay together when resampled.
        statistic: computes from the medians, by side; it must work element by element on arrays too.
        seed: of the resampling.
    """
    lengths = {len(values) for values in figures.values()}
    if len(lengths) != 1:
        raise ValueError("every side needs as many rounds as the others")
    (rounds,) = lengths
    drawn = np.random.default_rng(seed).integers(rounds, size=(RESAMPLES, rounds))
    medians = {name: np.median(np.asarray(values)[drawn], axis=1) for name, values in figures.items()}
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(statistic(medians), [tail, 100 - tail])
    value = statistic({name: float(np.median(values)) for name, values in figures.items()})
    return Estimate(float(value), float(low), float(high), rounds)
