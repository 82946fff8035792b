"""Sensitivity of a scenario's choice to one limit, one weight, or sampling of prompts and runs."""

import math
from typing import Any

from scripts.comparison import limits, scores
from scripts.comparison.scores import TIE, log_score

SHOWN = 4
MIN_CHANCE = 0.1  # chance of the runner-up
MAX_WEIGHT = 10  # times the sum of the weights: what a single one is raised to at most
DIGITS = 3  # of a changed weight
ZERO = 1e-9  # weights below count as none


def changes(scenario: dict[str, Any], ranking: dict[str, Any], counted: dict[str, float]) -> list[dict[str, Any]]:
    """Return up to four things that would change the choice.

    First the runner-up's chance, where it is 0.1 or more; then the limits and weights, the one that has to be changed
    least first: limits by the ratio of the two bounds, weights by their part in the sum of all.

    Args:
        scenario: with ``limits``, ``weights``, ``qualifying``, ``failing``, ``ranked``, ``winner`` and ``runner_up``.
        ranking: the comparison's.
        counted: the criteria's shares of the score.

    Returns:
        Of kind ``chance``: ``technique`` and its ``chance_best``. Of kind ``limit``: ``needed`` in place of the
        ``bound`` of ``limit`` makes ``technique`` the winner, also where none qualified before. Of kind ``weight``:
        ``to`` in place of ``from`` as weight of ``criterion`` makes ``technique`` the winner.
    """
    found = [*_limits(scenario, ranking, counted), *_weights(scenario, ranking)]
    found = [change for _, change in sorted(found, key=lambda each: each[0])]
    return [*_chance(scenario), *found][:SHOWN]


def _chance(scenario: dict[str, Any]) -> list[dict[str, Any]]:
    second = next((row for row in scenario["ranked"] if row["technique"] == scenario["runner_up"]), None)
    if second is None or (second["chance_best"] or 0) < MIN_CHANCE:
        return []
    return [{"kind": "chance", "technique": second["technique"], "chance_best": second["chance_best"]}]


def _limits(
    scenario: dict[str, Any], ranking: dict[str, Any], counted: dict[str, float]
) -> list[tuple[float, dict[str, Any]]]:
    """Return, of each limit, what has to be allowed for a technique that fails it alone to win.

    That is the one with the highest score, if it is above the winner's; where none qualifies, the one that needs least.
    """
    winner = scenario["winner"]
    alone: dict[str, dict[str, float]] = {}  # limit -> the values of those that fail it alone
    for name, failed in scenario["failing"].items():
        if len(failed) == 1 and failed[0]["value"] is not None:
            alone.setdefault(failed[0]["limit"], {})[name] = failed[0]["value"]
    score = {name: log_score(ranking["log_gains"][name], counted) for names in alone.values() for name in names}
    found = []
    for limit, values in alone.items():
        bound = scenario["limits"][limit]
        number = limits.usable_bytes(bound) if limit == limits.FITS else bound
        if winner is None:
            value = min(values.values(), key=lambda each, from_=number: _distance(each, from_))
        else:
            value = values[max(values, key=lambda name: score[name])]
        needed = limits.loosened(limit, value)
        if needed is None:
            continue
        best = max((name for name in values if limits.meets(limit, values[name], needed)), key=lambda name: score[name])
        if winner is None or score[best] > log_score(ranking["log_gains"][winner], counted) + TIE:
            change = {"kind": "limit", "limit": limit, "bound": bound, "needed": needed, "technique": best}
            found.append((_distance(value, number), change))
    return found


def _distance(one: float, other: float) -> float:
    return abs(math.log(one / other)) if one > 0 and other > 0 else math.inf


def _weights(scenario: dict[str, Any], ranking: dict[str, Any]) -> list[tuple[float, dict[str, Any]]]:
    """Return, of each weight, the smallest change of it alone that makes another qualifying technique the winner."""
    weights = scenario["weights"]
    total = sum(weights.values())
    found = []
    for criterion in ranking["criteria"]:
        now = weights[criterion]
        candidates = []
        for to in _crossings(criterion, scenario, ranking):
            technique = _overtaker(weights | {criterion: to}, scenario, ranking)
            if technique is not None and to <= MAX_WEIGHT * total:
                candidates.append((abs(to - now) / total, to, technique))
        if candidates:
            size, to, technique = min(candidates)
            change = {"kind": "weight", "criterion": criterion, "from": now, "to": to, "technique": technique}
            found.append((size, change))
    return found


def _crossings(criterion: str, scenario: dict[str, Any], ranking: dict[str, Any]) -> list[float]:
    """Return the weights just beyond which another technique overtakes the winner: the first below, the first above.

    Weighted sums of log gains are linear in each weight, so where two of them meet is one division.
    """
    winner, weights = scenario["winner"], scenario["weights"]
    if winner is None or criterion not in ranking["log_gains"][winner]:
        return []
    weighing = {key: weights[key] for key in ranking["criteria"] if weights[key] > 0}
    lower, upper = -math.inf, math.inf
    for name in scenario["qualifying"]:
        own, best = ranking["log_gains"][name], ranking["log_gains"][winner]
        slope = own[criterion] - best[criterion] if criterion in own else 0.0
        if slope == 0:
            continue
        meeting = weights[criterion] + (log_score(best, weighing) - log_score(own, weighing)) / slope
        if slope > 0:
            upper = min(upper, meeting)
        else:
            lower = max(lower, meeting)
    return [_beyond(each, up) for each, up in ((lower, False), (upper, True)) if 0 <= each < math.inf]


def _beyond(meeting: float, up: bool) -> float:
    """Round a weight to three digits, away from its old value, so that it is past the crossing."""
    if meeting < ZERO:
        return 0.0
    exponent = math.floor(math.log10(meeting)) + 1 - DIGITS
    steps = round(meeting / 10.0**exponent, 6)
    return float(f"{math.floor(steps) + 1 if up else math.ceil(steps) - 1}e{exponent}")


def _overtaker(weights: dict[str, float], scenario: dict[str, Any], ranking: dict[str, Any]) -> str | None:
    """Return the qualifying technique that wins with other weights, or None where the winner still does or none can."""
    counted = scores.shares(weights, ranking["criteria"])
    gains = {name: ranking["log_gains"][name] for name in scenario["qualifying"]}
    found = {name: log_score(own, counted) for name, own in gains.items() if counted.keys() <= own.keys()}
    if not counted or scenario["winner"] not in found:
        return None
    best = max(found, key=lambda name: found[name])
    return best if found[best] > found[scenario["winner"]] + TIE else None
