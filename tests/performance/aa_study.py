"""How often the comparison calls equal techniques different, and how often it finds a true slowdown.

    python -m tests.performance.aa_study --studies 1000
    python -m tests.performance.aa_study --runs 3 --studies 200
    python -m tests.performance.aa_study --metrics results/metrics/a.json results/metrics/b.json

The first prints, for studies of twelve techniques on machines of several kinds, the share of simulated A/A studies
(one technique under twelve names) in which any verdict of speed or quality says otherwise, and the power against a
planted slowdown of 5%, both after Holm's correction. The last takes two real metrics files, of the same technique
measured twice for instance, and prints the verdicts of one against the other.
"""

import argparse
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scipy import stats

from scripts.comparison import document, verdicts
from scripts.foundation import files
from tests.support.synthetic_timings import Chance, Technique, make_study

SLOWDOWN = 1.05
TECHNIQUES = 12


@dataclass(frozen=True)
class Machine:
    """A kind of machine: how its measurements scatter, and what sets the compared pair apart from the other ten."""

    name: str
    chance: Chance
    pair: dict[str, float] = field(default_factory=dict)


def _chance(**changed: float) -> Chance:
    return replace(Chance(runs=5, prompts=100, fixed=10, drift=0.0), **changed)


MACHINES = (
    Machine("1% between processes, 3% between rounds", _chance(process_sd=0.01, round_sd=0.03)),
    Machine("2% between processes, 6% between rounds", _chance(process_sd=0.02, round_sd=0.06)),
    Machine(
        "requests of the pair scatter by 15%, of the others by 2%",
        _chance(process_sd=0.003, noise_sd=0.02, round_sd=0.03),
        {"noise_sd": 0.15},
    ),
    Machine(
        "requests of the pair scatter by 10%, of the others by 2%",
        _chance(process_sd=0.002, noise_sd=0.02, round_sd=0.03),
        {"noise_sd": 0.10},
    ),
    Machine(
        "2% between processes of the pair, 1% of the others",
        _chance(process_sd=0.01, round_sd=0.03),
        {"process_sd": 0.02},
    ),
    Machine(
        "5% between processes of the pair, 1% of the others",
        _chance(process_sd=0.01, round_sd=0.03),
        {"process_sd": 0.05},
    ),
)


def words(study: dict[str, Any], rows: list[dict[str, Any]], metrics: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return per technique but the first the verdicts against its parent, as the comparison of the study gives them."""
    compared = document.comparison(study, rows, {}, metrics)["techniques"][1:]
    figures = {each["name"]: each["changes"]["parent"]["figures"] for each in compared}
    return {
        name: {key: word for key in verdicts.tested_changes() if (word := found[key].get("verdict"))}
        for name, found in figures.items()
    }


def simulated(seed: int, machine: Machine, slowdown: float = 1.0, techniques: int = 2) -> dict[str, dict[str, str]]:
    """Return the verdicts of a simulated study of one technique under several names, the second slowed down."""
    others = [Technique(f"c{number}", "a") for number in range(techniques - 2)]
    pair = [Technique("a", **machine.pair), Technique("b", "a", slowdown, **machine.pair)]
    return words(*make_study([*pair, *others], machine.chance, seed))


def false_alarms(studies: int, machine: Machine, techniques: int = 2) -> list[dict[str, str]]:
    """Return, of each simulated A/A study that was called different, the verdicts that said so."""
    found = []
    for seed in range(studies):
        verdict = simulated(seed, machine, techniques=techniques)
        every = ((f"{name}: {key}", word) for name, said in verdict.items() for key, word in said.items())
        wrong = {what: word for what, word in every if word not in verdicts.NO_CHANGE}
        if wrong:
            found.append(wrong)
    return found


def power(studies: int, machine: Machine, slowdown: float = SLOWDOWN, techniques: int = 2) -> int:
    """Return in how many simulated studies a true slowdown is found, in the latency of either mode."""
    found = [simulated(seed, machine, slowdown, techniques)["b"] for seed in range(studies)]
    return sum("slower" in {said["latency_change_percent"], said["fixed_latency_change_percent"]} for said in found)


def share(hits: int, studies: int) -> str:
    """Write a share of the studies with its 95% interval (Wilson)."""
    bounds = stats.binomtest(hits, studies).proportion_ci(method="wilson")
    return f"{100 * hits / studies:.1f}% ({100 * bounds.low:.1f} to {100 * bounds.high:.1f}, n = {studies})"


def main() -> None:
    """Print the rates, or the verdicts of two real files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200, help="simulated studies a rate")
    parser.add_argument("--runs", type=int, default=5, help="runs of each technique")
    parser.add_argument("--techniques", type=int, default=TECHNIQUES, help="names of the one technique, 2 or more")
    parser.add_argument("--metrics", type=Path, nargs=2, metavar="FILE", help="two metrics files to compare instead")
    arguments = parser.parse_args()
    if arguments.metrics:
        print_files(*map(files.read_json, arguments.metrics))
        return
    n, began = arguments.studies, time.perf_counter()
    print(f"{arguments.techniques} techniques, {arguments.runs} runs of each")
    for machine in MACHINES:
        machine = replace(machine, chance=replace(machine.chance, runs=arguments.runs))
        wrong = len(false_alarms(n, machine, arguments.techniques))
        found = power(n, machine, techniques=arguments.techniques)
        print(f"{machine.name}:")
        print(f"  equal techniques called different in {share(wrong, n)} of studies")
        print(f"  {100 * (SLOWDOWN - 1):.0f}% slowdown found in {share(found, n)} of studies", flush=True)
    print(f"{time.perf_counter() - began:.1f} s")


def print_files(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Print every change of the second metrics file against the first with its interval and its verdict."""
    first, second = first | {"technique": "a"}, second | {"technique": "b"}
    rows = [{"id": name, "summary": "", "headline": ""} for name in first["samples"]["id"]]
    study = {"baseline": "a", "techniques": [{"name": "a"}, {"name": "b", "parent": "a"}]}
    compared = document.comparison(study, rows, {}, {"a": first, "b": second})
    for key, change in compared["techniques"][1]["changes"]["parent"]["figures"].items():
        numbers = [change["value"], change["low"], change["high"], change.get("adjusted_p_value")]
        value, low, high, p_value = ("-" if number is None else f"{number:.4g}" for number in numbers)
        print(f"{key}: {value} {change['unit']} [{low}, {high}], adjusted p {p_value}: {change.get('verdict')}")


if __name__ == "__main__":
    main()
