"""Caveats of a scenario: limits that no technique meets, and several devices that don't beat a single one."""

import math
from typing import Any

from scripts.comparison import limits, scores

SEVERAL = "min_devices"


def unmet(bounds: dict[str, Any], names: list[str], ranking: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the limits that no technique meets, each with the technique that comes nearest.

    Args:
        bounds: the limits that are set.
        names: the techniques that ran.
        ranking: the comparison's.

    Returns:
        Per limit ``limit``, ``bound``, ``technique`` and ``value``; the last two are None where none was measured.
    """
    found = []
    for limit, bound in bounds.items():
        if limit not in limits.BOUNDED:
            continue
        values = {name: limits.value_of(limit, ranking["limit_values"][name], bounds) for name in names}
        if any(limits.meets(limit, value, bound) for value in values.values()):
            continue
        known = {name: value for name, value in values.items() if value is not None}
        pick = max if limit in limits.AT_LEAST else min
        nearest = pick(known, key=lambda name: known[name], default=None)
        found.append({"limit": limit, "bound": bound, "technique": nearest, "value": known.get(nearest or "")})
    return found


def one_device(
    scenario: dict[str, Any],
    winner: str | None,
    names: list[str],
    ranking: dict[str, Any],
    counted: dict[str, float],
    on_gpus: bool,
) -> dict[str, Any] | None:
    """Compare the winner of a scenario that asks for several devices with the best technique on one device.

    Args:
        scenario: with its ``limits``.
        winner: the technique that it chooses, or None.
        names: the techniques that ran and have every criterion that counts.
        ranking: the comparison's.
        counted: the criteria's shares of the score.
        on_gpus: whether each process has a GPU of its own.

    Returns:
        None where the scenario does not ask for several devices, or nothing on one device meets its other limits. Else
        ``technique``, the best on one device by the scenario's own weights, its ``score`` and the winner's;
        ``chance``, the share of draws in which the winner scores higher (None without draws); ``beaten``, whether the
        winner scores higher; ``on_gpus``.
    """
    if (scenario["limits"].get(SEVERAL) or 1) < 2 or winner is None or not counted:
        return None
    others = {key: bound for key, bound in scenario["limits"].items() if key != SEVERAL}
    values = ranking["limit_values"]
    alone = [name for name in names if values[name]["devices"] == 1 and not limits.failing(values[name], others)]
    if not alone:
        return None
    best = max(alone, key=lambda name: scores.log_score(ranking["log_gains"][name], counted))
    pair = {row["technique"]: row for row in scores.ranked([winner, best], ranking, counted)}
    ahead = math.log(pair[winner]["score"]) - math.log(pair[best]["score"])
    return {
        "technique": best,
        "score": pair[best]["score"],
        "winner_score": pair[winner]["score"],
        "chance": pair[winner]["chance_best"],
        "beaten": ahead > scores.TIE,
        "on_gpus": on_gpus,
    }
