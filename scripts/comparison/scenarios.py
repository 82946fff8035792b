"""Chooses a technique under the limits and weights of each scenario."""

from typing import Any

from scripts.comparison import caveats, gains, limits, scores, sensitivity
from scripts.comparison.gains import CAPACITY
from scripts.comparison.ranking import counted_shares, merged, unmeasured, weights_of

NOTHING = {"qualifying": [], "failing": {}, "ranked": [], "winner": None, "runner_up": None, "changes": [],
           "unmet": [], "one_device": None}  # fmt: skip


def scenarios(
    study: dict[str, Any], rows: list[dict[str, Any]], ranking: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """Choose for every scenario of a study.

    Args:
        study: ``scenarios``: by name ``label``, ``description``, ``limits`` and ``weights``, or None for one that is
            left out; without weights of its own a scenario has those of the study's ``ranking``. ``scenario_order``:
            their names in the order of the configuration, which JSON with sorted keys does not keep.
        rows: the techniques of the comparison, in report order.
        ranking: the comparison's, or None where nothing ran.

    Returns:
        Per scenario, in the order given and without those of a server under load (:func:`of_load`) where none was put
        under load, its ``name``, ``label``, ``description``, ``limits`` (those that are set) and
        ``weights``. ``qualifying``: the techniques that meet its limits and have every criterion that counts;
        ``failing``: of the others that ran what they fail, each ``limit``, ``value`` (None: not measured) and
        ``bound``, where a criterion that was not measured stands under its own name, without a bound. ``ranked``: those
        that qualify, best first (``scores.ranked``); ``winner`` and ``runner_up``: the first two of them or None;
        ``changes``: what would change the choice (``sensitivity.changes``); ``unmet`` and ``one_device``: what must be
        said of it caveats (``caveats``).
    """
    order = [row["name"] for row in rows if row["status"] == "ok"]
    one_by_one = bool(ranking and ranking["one_by_one"])
    loaded = any(row.get("load") for row in rows)
    described = [
        {
            "name": name,
            "label": entry.get("label") or name,
            "description": entry.get("description") or "",
            "limits": {key: bound for key, bound in (entry.get("limits") or {}).items() if bound is not None},
            "weights": merged(
                dict.fromkeys(gains.criteria(), 0) | (entry.get("weights") or weights_of(study)), one_by_one
            ),
        }
        for name, entry in _in_order(study)
        if entry is not None and (loaded or not of_load(entry))
    ]
    on_gpus = bool(study.get("on_gpus"))
    return [scenario | (_chosen(scenario, order, ranking, on_gpus) if ranking else NOTHING) for scenario in described]


def of_load(entry: dict[str, Any]) -> bool:
    """Whether a scenario is of a server under load: requests a second under load weigh in it, or are limited."""
    limited = (entry.get("limits") or {}).get(limits.CAPACITY) is not None
    return limited or bool((entry.get("weights") or {}).get(CAPACITY))


def _counted(weights: dict[str, float], ranking: dict[str, Any]) -> dict[str, float]:
    """Return the shares of the criteria that count; what a server serves under load counts where no technique has it.

    A server under load is not to be chosen by the other criteria alone.
    """
    if weights.get(CAPACITY) and CAPACITY not in ranking["criteria"]:
        return scores.shares(weights, [*ranking["criteria"], CAPACITY])
    return counted_shares(weights, ranking)


def _in_order(study: dict[str, Any]) -> list[tuple[str, dict[str, Any] | None]]:
    entries = study.get("scenarios") or {}
    return [(name, entries[name]) for name in study.get("scenario_order") or entries]


def _chosen(scenario: dict[str, Any], order: list[str], ranking: dict[str, Any], on_gpus: bool) -> dict[str, Any]:
    counted = _counted(scenario["weights"], ranking)
    failing = {name: _failing(name, scenario["limits"], counted, ranking) for name in order}
    qualifying = [name for name in order if not failing[name]]
    ranked = scores.ranked(qualifying, ranking, counted)
    result = {
        "qualifying": qualifying,
        "failing": {name: failed for name, failed in failing.items() if failed},
        "ranked": ranked,
        "winner": ranked[0]["technique"] if ranked else None,
        "runner_up": ranked[1]["technique"] if len(ranked) > 1 else None,
    }
    complete = [name for name in order if not unmeasured(name, counted, ranking)]
    result |= {
        "unmet": caveats.unmet(scenario["limits"], order, ranking),
        "one_device": caveats.one_device(scenario, result["winner"], complete, ranking, counted, on_gpus),
    }
    return result | {"changes": sensitivity.changes(scenario | result, ranking, counted)}


def _failing(
    name: str, bounds: dict[str, Any], counted: dict[str, float], ranking: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return what keeps a technique from qualifying: the limits that it fails, then what was not measured."""
    absent = [{"limit": key, "value": None, "bound": None} for key in unmeasured(name, counted, ranking)]
    return limits.failing(ranking["limit_values"][name], bounds) + absent
