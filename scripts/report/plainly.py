"""What must be said plainly of a scenario, before what it chooses."""

from typing import Any

from scripts.report import columns, limits, results_columns
from scripts.report.limits import Words

NO_GPUS = "This machine has no GPUs: the devices are processes that share its processor"


def sentences(scenario: dict[str, Any], words: Words, techniques: dict[str, dict[str, Any]]) -> list[str]:
    """Return that nothing meets a limit here, and that several devices beat no single one; mostly nothing.

    Args:
        scenario: one of the comparison's.
        words: of the comparison.
        techniques: the comparison's, by name.
    """
    shown = scenario["limits"].get("quality") == "shown"
    told = [words.unmet(found, shown) for found in scenario["unmet"]]
    if scenario["winner"] is None and scenario["failing"] and not told and len(scenario["limits"]) > 1:
        told.append("Each limit is met by some technique here, and all of them together by none.")
    return [*told, *_one_device(scenario, techniques)]


def short(scenario: dict[str, Any]) -> str:
    """Return in a few words why a scenario's winner is not to be taken for more than it is; mostly nothing."""
    found = scenario["one_device"]
    return "" if found is None or found["beaten"] else "no technique beats one device here"


def _one_device(scenario: dict[str, Any], techniques: dict[str, dict[str, Any]]) -> list[str]:
    found = scenario["one_device"]
    if found is None:
        return []
    told = [] if found["on_gpus"] else [f"{NO_GPUS}."]
    if found["beaten"]:
        return told
    winner, alone = (techniques[name] for name in (scenario["winner"], found["technique"]))
    chance = "" if found["chance"] is None else f"; the chance that it is ahead is {limits.chance(found['chance'])}"
    told.append(
        f"No technique beats one device here: {alone['label']}, on one, scores {limits.score(found['score'])} by these "
        f"weights ({_speed(alone, winner)}), {winner['label']} over several {limits.score(found['winner_score'])} "
        f"({_speed(winner, alone)}){chance}."
    )
    return told


def _speed(technique: dict[str, Any], other: dict[str, Any]) -> str:
    """Return mean latency and samples per second, in the units that both are shown in."""
    shown = [column for column in results_columns.measured() if column.key in ("latency_s", "throughput_samples_per_s")]
    scales = columns.scales(shown, [technique, other])
    latency, rate = (technique["figures"][column.key]["value"] for column in shown)
    told = [] if latency is None else [f"{scales['latency_s'].show_with_unit(latency)} a headline"]
    if rate is not None:
        told.append(f"{scales['throughput_samples_per_s'].show(rate)} samples/s")
    return ", ".join(told) or "speed not measured"
