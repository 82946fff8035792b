"""The scenarios: limits, winner, runner-up and what would change the choice."""

from typing import Any

from scripts.comparison.gains import CAPACITY
from scripts.report import answer, limits, numbers, plainly, rows
from scripts.report.limits import Words
from scripts.report.section import Section
from scripts.report.text import Safe


def scenarios(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return the scenarios in words.

    Returns:
        ``scenarios``: none where nothing ran or nothing may be called the best; whether anything ``ran``;
        ``no_winner``: what is missing to choose; ``of``: what scores are multiples of; ``other``: that requests under
        load are compared with another technique's; ``left_out``: the scenarios of a server, where there was no load.
    """
    ran = bool(comparison["ranking"])
    missing = answer.no_winner(comparison)
    found = _scenarios(comparison) if ran and not missing else []
    weighed = any(scenario["weights"].get(CAPACITY) for scenario in comparison["scenarios"])
    return {
        "scenarios": found,
        "ran": ran,
        "no_winner": missing,
        "of": limits.reference(comparison) if ran else "",
        "other": limits.other_base(comparison) if ran and weighed else "",
        "left_out": [] if limits.has_load(comparison) else _left_out(comparison),
    }


def _left_out(comparison: dict[str, Any]) -> list[str]:
    """Return the labels of the study's scenarios that were not looked at."""
    looked_at = {scenario["name"] for scenario in comparison["scenarios"]}
    known = (comparison.get("configuration") or {}).get("scenarios") or {}
    return [entry.get("label") or name for name, entry in known.items() if entry and name not in looked_at]


def _scenarios(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    ranking = comparison["ranking"]
    words = Words(comparison)
    labels = rows.labels(comparison)
    techniques = rows.by_name(comparison)
    return [
        _scenario(scenario, words, labels, ranking) | {"plain": plainly.sentences(scenario, words, techniques)}
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
        "lead": _lead(scenario),
        "alone": _alone(scenario),
        "winner": _choice(ranked[winner], labels) if winner else None,
        "runner_up": _choice(ranked[second], labels) if second else None,
        "changes": _changes(scenario, words),
        "qualifying": len(scenario["qualifying"]),
        "count": len(scenario["qualifying"]) + len(scenario["failing"]),
        "failing": [
            {"name": name, "label": labels[name], "reasons": [words.failure(entry) for entry in found]}
            for name, found in scenario["failing"].items()
        ],
    }


def _changes(scenario: dict[str, Any], words: Words) -> list[str]:
    """Return what would change the choice, and that no plausible weights would where that is so."""
    if _alone(scenario):
        return [words.change(each, True) for each in scenario["changes"] if each["kind"] == "limit"]
    told = [words.change(each, bool(scenario["winner"])) for each in scenario["changes"] if limits.plausible(each)]
    weighed = any(each["kind"] == "weight" and limits.plausible(each) for each in scenario["changes"])
    return told if weighed or not scenario["winner"] else [*told, "Stable: no plausible weights change it."]


def _lead(scenario: dict[str, Any]) -> str:
    """Return the word before a winner."""
    if _alone(scenario):
        return "Only"
    return "Of several" if plainly.short(scenario) else "Use"


def _alone(scenario: dict[str, Any]) -> str:
    """Return that a winner was compared with none; empty where it was, or there is none."""
    if scenario["winner"] is None or len(scenario["ranked"]) > 1 or scenario["one_device"]:
        return ""  # one that uses several devices was held against the best on one
    return f"No other technique {'qualifies' if scenario['failing'] else 'ran'}, so nothing was compared."


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


def short(comparison: dict[str, Any]) -> dict[str, Any] | None:
    """Return each scenario's choice, and what must be said plainly of some."""
    if not comparison["scenarios"] or rows.no_winner(comparison):
        return None
    labels = rows.labels(comparison)
    return {
        "scenarios": [_short(scenario, labels) for scenario in comparison["scenarios"]],
        "plain": _plain(comparison) if comparison["ranking"] else [],
    }


def _short(scenario: dict[str, Any], labels: dict[str, str]) -> dict[str, str]:
    """Return a scenario's winner with its chance; that it was compared with none, or that nothing qualifies."""
    by_name = {entry["technique"]: entry for entry in scenario["ranked"]}
    winner, second = scenario["winner"], scenario["runner_up"]
    said = plainly.short(scenario)
    named = labels.get(winner, winner) if winner else "no technique qualifies"
    if _alone(scenario):
        named, winner = f"only {named} {'qualifies' if scenario['failing'] else 'ran'}; nothing was compared", None
    return {
        "label": scenario["label"],
        "winner": f"{said}; best of several: {named}" if said else named,
        "chance": Safe(limits.chance(by_name[winner]["chance_best"]) if winner else numbers.NOTHING),
        "second": labels.get(second, second) if second else Safe(numbers.NOTHING),
    }


def _plain(comparison: dict[str, Any]) -> list[dict[str, str]]:
    """Return what must be said plainly of each scenario that something must be said of."""
    words = Words(comparison)
    techniques = rows.by_name(comparison)
    told = {each["label"]: plainly.sentences(each, words, techniques) for each in comparison["scenarios"]}
    return [{"label": label, "text": " ".join(sentences)} for label, sentences in told.items() if sentences]


SECTION = Section("scenarios", "Scenarios", 20, scenarios, within="decision", short=short)
