"""Overall scores: weighted geometric means of gains, and each technique's chance of having the highest.

The geometric mean is the one whose order does not depend on the reference: Fleming and Wallace, How Not to Lie with
Statistics: the Correct Way to Summarize Benchmark Results, CACM 29(3), 1986.
"""

import base64
from collections.abc import Iterable
from typing import Any

import numpy as np

from scripts.metrics import resampling

LEVELS = 65_535
TIE = 1e-9
"""Log scores that are no further apart are equal: rounding, no difference. Equal ones share the draw."""


def pack(drawn: np.ndarray) -> dict[str, Any]:
    """Return draws as 16-bit steps between the lowest and the highest: ``low``, ``step``, and ``values`` in base64."""
    low = float(drawn.min())
    step = float(drawn.max() - low) / LEVELS
    steps = np.round((drawn - low) / step).astype("<u2") if step else np.zeros(len(drawn), "<u2")
    return {"low": low, "step": step, "values": base64.b64encode(steps.tobytes()).decode("ascii")}


def unpack(packed: dict[str, Any]) -> np.ndarray:
    """Return the draws that :func:`pack` was given, to half a step."""
    return packed["low"] + packed["step"] * np.frombuffer(base64.b64decode(packed["values"]), "<u2")


def shares(weights: dict[str, float], criteria: Iterable[str]) -> dict[str, float]:
    """Return the weights of the criteria that count, adding up to 1; none where all weigh nothing."""
    counted = {criterion: weights.get(criterion) or 0 for criterion in criteria}
    total = sum(counted.values())
    return {criterion: weight / total for criterion, weight in counted.items() if weight > 0}


def log_score(gains: dict[str, float], counted: dict[str, float]) -> float:
    """Return the logarithm of a technique's score; it has a gain of every criterion that counts."""
    return sum(share * gains[criterion] for criterion, share in counted.items())


def ranked(names: Iterable[str], ranking: dict[str, Any], counted: dict[str, float]) -> list[dict[str, Any]]:
    """Rank techniques, the best first and equal ones in the order that they are given in.

    Args:
        names: techniques that have a gain of every criterion that counts.
        ranking: the comparison's ``ranking``: ``log_gains``, ``spread`` and ``draws`` of it.
        counted: the criteria's shares of the score, at least one.

    Returns:
        ``technique``, ``score``, its 95% interval ``low`` and ``high``, and ``chance_best``, the share of draws in
        which it has the highest score of all these; the last three are None where nothing was drawn.
    """
    gains = ranking["log_gains"]
    order = sorted(names, key=lambda name: -log_score(gains[name], counted))
    rows = [{"technique": name, "score": _exp(log_score(gains[name], counted))} for name in order]
    if not rows or not ranking["draws"]:
        return [row | dict.fromkeys(("low", "high", "chance_best")) for row in rows]
    drawn = np.array([_drawn(name, ranking, counted) for name in order])  # (techniques, draws)
    best = drawn >= drawn.max(axis=0) - TIE
    chances = (best / best.sum(axis=0)).mean(axis=1)
    tail = (1 - resampling.LEVEL) / 2
    lows, highs = np.exp(np.quantile(drawn, [tail, 1 - tail], axis=1))
    return [
        row | {"low": float(low), "high": float(high), "chance_best": float(chance)}
        for row, low, high, chance in zip(rows, lows, highs, chances, strict=True)
    ]


def _drawn(name: str, ranking: dict[str, Any], counted: dict[str, float]) -> np.ndarray:
    """Return a technique's log score in every draw."""
    total = np.zeros(ranking["draws"])
    spread = ranking["spread"].get(name) or {}
    for criterion, share in counted.items():
        moves = unpack(spread[criterion]) if criterion in spread else ranking["log_gains"][name][criterion]
        total = total + share * moves
    return total


def _exp(value: float) -> float:
    return float(np.exp(value))
