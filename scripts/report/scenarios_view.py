"""The scenarios: limits, winner, runner-up and what would change the choice."""

from typing import Any

from scripts.report import limits, plain_view
from scripts.report.limits import Words


def scenarios(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every scenario in words; none where nothing ran."""
    ranking = comparison["ranking"]
    if not ranking:
        return []
    words = Words(comparison)
    labels = {technique["name"]: technique["label"] for technique in comparison["techniques"]}
    techniques = {technique["name"]: technique for technique in comparison["techniques"]}
    return [
        _scenario(scenario, words, labels, ranking) | {"plain": plain_view.sentences(scenario, words, techniques)}
        for scenario in comparison["scenarios"]
    ]


def _scenario(
    scenario: dict[str, Any], words: Words, labels: dict[str, str], ranking: dict[str, Any]
) -> dict[str, Any]:
    """Return one scenario: what it asks for, what to use, and what would have to give for another choice."""
    ranked = {entry["technique"]: entry for entry in scenario["ranked"]}
    winner, second = scenario["winner"], scenario["runner_up"]
    return {
        "name": scenario["name"],
        "label": scenario["label"],
        "description": scenario["description"] or "",
        "rules": words.rules(scenario["limits"]) or ["no limits"],
        "weights": limits.weights(scenario["weights"], ranking["criteria"]),
        "lead": "Of several" if plain_view.short(scenario) else "Use",
        "winner": _choice(ranked[winner], labels) if winner else None,
        "runner_up": _choice(ranked[second], labels) if second else None,
        "changes": [words.change(change, bool(winner)) for change in scenario["changes"]],
        "qualifying": len(scenario["qualifying"]),
        "count": len(scenario["qualifying"]) + len(scenario["failing"]),
        "failing": [
            {"name": name, "label": labels[name], "reasons": [words.failure(entry) for entry in found]}
            for name, found in scenario["failing"].items()
        ],
    }


def _choice(entry: dict[str, Any], labels: dict[str, str]) -> dict[str, str]:
    """Return a technique with its score and its chance of being the best of those that qualify."""
    return {
        "name": entry["technique"],
        "label": labels[entry["technique"]],
        "score": limits.score(entry["score"]),
        "interval": limits.score_interval(entry["low"], entry["high"]),
        "chance": limits.chance(entry["chance_best"]),
        "share": "" if entry["chance_best"] is None else f"{entry['chance_best']:.4f}",
    }
