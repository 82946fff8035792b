"""How often the comparison calls equal techniques different, and how often it finds a true slowdown.

    python -m tests.performance.aa_study --studies 1000
    python -m tests.performance.aa_study --metrics results/metrics/a.json results/metrics/b.json

The first prints the share of simulated A/A studies (the same technique twice) in which any verdict of speed or quality
says otherwise, and the power against a 5% slowdown for several scatters between processes. The second takes two real
metrics files, of the same technique measured twice for instance, and prints the verdicts of one against the other.
"""

import argparse
import time
from pathlib import Path
from typing import Any

from scripts.comparison import document, verdicts
from scripts.foundation import files
from tests.support.synthetic_timings import Chance, Technique, make_study

PROCESS_SDS = (0.0, 0.005, 0.01, 0.02, 0.04)
SLOWDOWN = 1.05
SPEED = verdicts.FAMILIES[0]


def words(study: dict[str, Any], rows: list[dict[str, Any]], metrics: dict[str, Any]) -> dict[str, str]:
    """Return the verdicts of the second technique against the first, as the comparison of the study gives them."""
    second = document.comparison(study, rows, {}, metrics)["techniques"][1]
    return {key: second["changes"]["parent"]["figures"][key].get("verdict") for key in verdicts.WORDS}


def simulated(seed: int, chance: Chance, slowdown: float = 1.0) -> dict[str, str]:
    """Return the verdicts of one simulated study of a technique measured twice, the second time slowed down."""
    pair = [Technique("a"), Technique("b", "a", slowdown)]
    return words(*make_study(pair, chance, seed))


def false_alarms(studies: int, chance: Chance) -> list[dict[str, str]]:
    """Return, of each simulated A/A study that was called different, the verdicts that said so."""
    found = []
    for seed in range(studies):
        verdict = simulated(seed, chance)
        wrong = {key: word for key, word in verdict.items() if word != verdicts.SAME}
        if wrong:
            found.append(wrong)
    return found


def power(studies: int, chance: Chance, slowdown: float = SLOWDOWN) -> int:
    """Return in how many simulated studies a true slowdown is found, in the latency of either mode."""
    return sum("slower" in {simulated(seed, chance, slowdown)[key] for key in SPEED} for seed in range(studies))


def main() -> None:
    """Print the rates, or the verdicts of two real files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200, help="simulated studies a rate")
    parser.add_argument("--metrics", type=Path, nargs=2, metavar="FILE", help="two metrics files to compare instead")
    arguments = parser.parse_args()
    if arguments.metrics:
        print_files(*map(files.read_json, arguments.metrics))
        return
    n, began = arguments.studies, time.perf_counter()
    wrong = false_alarms(n, Chance())
    print(f"A/A studies called different: {len(wrong)} of {n} ({100 * len(wrong) / n:.1f}%)")
    for key in verdicts.WORDS:
        print(f"  {key}: {sum(key in entry for entry in wrong)}")
    print(f"{100 * (SLOWDOWN - 1):g}% slowdown found, by relative standard deviation between processes:")
    for deviation in PROCESS_SDS:
        found = power(n, Chance(process_sd=deviation))
        print(f"  {100 * deviation:g}%: {found} of {n} ({100 * found / n:.1f}%)")
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
