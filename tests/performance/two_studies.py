"""How often two studies of the same things count as worse, and how often a real slowdown is found.

    python -m tests.performance.two_studies --pairs 200 --runs 3

Prints, for pairs of simulated studies of twelve techniques on machines of several kinds, the share in which the
comparison would exit with 1: where nothing changed, where every technique became slower by exactly the bound, and where
one technique or all of them became slower by 10%. Each pair goes through the whole comparison.
"""

import argparse
import time
from dataclasses import replace
from typing import Any

from scripts.comparison import document
from scripts.comparison.studies import compare, judging, reading
from tests.performance.aa_study import share
from tests.support.synthetic_timings import Chance, Technique, make_study

TECHNIQUES = 12
SLOWDOWN = 1.10
AT_BOUND = 1 + judging.BOUNDS["latency"] / 100
QUIET = Chance(runs=3, prompts=50, fixed=10, drift=0.0, process_sd=0.003, round_sd=0.003, noise_sd=0.02)
MACHINES = {
    "0.3% between processes and between rounds": QUIET,
    "1% between processes, 1% between rounds": replace(QUIET, process_sd=0.01, round_sd=0.01),
    "2% between processes, 6% between rounds": replace(QUIET, process_sd=0.02, round_sd=0.06),
    "1% and 1%, and 2% between the days of the studies": replace(QUIET, process_sd=0.01, round_sd=0.01, day_sd=0.02),
    "1% and 1%, and 5% between the days of the studies": replace(QUIET, process_sd=0.01, round_sd=0.01, day_sd=0.05),
}


def study(seed: int, chance: Chance, slower: dict[str, float] | None = None, prompts_seed: int | None = None) -> Any:
    """Return the comparison of a simulated study, as its file would be read; the baseline is ``a``."""
    names = ["a", *(f"c{number}" for number in range(TECHNIQUES - 1))]
    techniques = [Technique(name, "a" if name != "a" else None, (slower or {}).get(name, 1.0)) for name in names]
    made, rows, metrics = make_study(techniques, chance, seed, prompts_seed)
    return reading.checked(document.comparison(made, rows, {}, metrics), "a simulated study")


def worse(
    pair: int, chance: Chance, slower: dict[str, float] | None = None, judge: str = compare.AUTO, paired: bool = True
) -> list[dict[str, Any]]:
    """Return what counts as worse in the new study of a simulated pair.

    Args:
        pair: its number, from which all is drawn.
        chance: the machine.
        slower: times of techniques in the new study over those in the previous one.
        judge: what decides.
        paired: whether the two have the same prompts.
    """
    old = study(2 * pair, chance, prompts_seed=pair)
    new = study(2 * pair + 1, chance, slower, prompts_seed=pair if paired else -pair - 1 + 2**20)
    return compare.compare(old, new, compare.choices(judge=judge))["worse"]


def every(time_over: float) -> dict[str, float]:
    """Return that every technique became slower, the baseline too."""
    return {"a": time_over} | {f"c{number}": time_over for number in range(TECHNIQUES - 1)}


def rates(pairs: int, chance: Chance, judge: str) -> dict[str, int]:
    """Return in how many pairs something counted as worse, by what had changed."""
    one = {"c3": SLOWDOWN}
    # Against the baseline, what all share cancels out: there the others become slower and the baseline does not.
    base = {} if judge == judging.ABSOLUTE else {"a": 1.0}
    changes = {
        "nothing changed": None,
        f"all slower by the bound, {100 * (AT_BOUND - 1):.0f}%": every(AT_BOUND) | base,
        "one slower by 10%, and found": one,
        "all slower by 10%, one found at least": every(SLOWDOWN) | base,
    }
    found = {}
    for what, slower in changes.items():
        said = [worse(pair, chance, slower, judge) for pair in range(pairs)]
        found[what] = sum(any(slower is not one or each["name"] == "c3" for each in names) for names in said)
    return found


def main() -> None:
    """Print the rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100, help="simulated pairs a rate")
    parser.add_argument("--runs", type=int, default=3, help="runs of each technique in each study")
    arguments = parser.parse_args()
    began = time.perf_counter()
    print(
        f"{TECHNIQUES} techniques, {arguments.runs} runs of each in each study; a bound of {100 * (AT_BOUND - 1):.0f}%"
    )
    for name, chance in MACHINES.items():
        for judge in (judging.ABSOLUTE, judging.BASELINE):
            print(f"{name}; {judge} decides:")
            for what, hits in rates(arguments.pairs, replace(chance, runs=arguments.runs), judge).items():
                print(f"  {what}: {share(hits, arguments.pairs)}", flush=True)
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
