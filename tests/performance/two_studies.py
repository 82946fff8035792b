"""How often two studies of the same things count as worse, and how often a real slowdown is found.

    python -m tests.performance.two_studies --pairs 200 --runs 3

Prints, for pairs of simulated studies of twelve techniques on machines of several kinds, the share in which the
comparison would exit with 1: where nothing changed, where techniques became slower by exactly the bound, and where one
technique or all of them became slower by 10%.
"""

import argparse
import time
from dataclasses import replace
from typing import Any

from scripts.comparison import changes, prompts, two_levels
from scripts.comparison.columns import Columns
from scripts.comparison.studies import compare, judging
from tests.performance.aa_study import share
from tests.support.synthetic_timings import Chance, Technique, make_study

TECHNIQUES = 12
TIMED = ("latency_change_percent", "fixed_latency_change_percent", "throughput_change_percent")
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
    """Return what the comparison of two studies reads of a simulated one; the baseline is ``a``.

    The rest of its comparison.json, which takes most of the time to make, is left out.
    """
    names = ["a", *(f"c{number}" for number in range(TECHNIQUES - 1))]
    techniques = [Technique(name, "a" if name != "a" else None, (slower or {}).get(name, 1.0)) for name in names]
    made, rows, metrics = make_study(techniques, chance, seed, prompts_seed)
    columns = Columns(metrics)
    return {
        "title": made["title"],
        "baseline": {"name": "a"},
        "techniques": [_technique(metrics, name, columns) for name in names],
        "prompts": prompts.prompts(made, rows, metrics),
        "dataset": {"samples": len(rows), "manifest": {}},
    }


def _technique(metrics: dict[str, Any], name: str, columns: Columns) -> dict[str, Any]:
    own, against = metrics[name], {"figures": None}
    if name != "a":
        quantities = {key: changes.timing_quantities(key, [own, metrics["a"]], columns) for key in TIMED}
        figures = {key: two_levels.percent_figure(two_levels.ratio(both[:1], both[1:]), 100.0)
                   for key, both in quantities.items()}  # fmt: skip
        against = {"figures": figures}
    return own | {"name": name, "label": name, "changes": {"baseline": against}}


def worse(
    pair: int, chance: Chance, slower: dict[str, float] | None = None, judge: str = compare.AUTO
) -> list[dict[str, Any]]:
    """Return what counts as worse in the new study of a simulated pair, both with the same prompts.

    Args:
        pair: its number, from which all is drawn.
        chance: the machine.
        slower: times of techniques in the new study over those in the previous one.
        judge: what decides.
    """
    return judged(*(study(2 * pair + new, chance, (None, slower)[new], pair) for new in (0, 1)), judge)


def judged(old: Any, new: Any, judge: str) -> list[dict[str, Any]]:
    """Return what counts as worse between two studies."""
    return compare.compare(old, new, compare.choices(judge=judge))["worse"]


def every(time_over: float) -> dict[str, float]:
    """Return that every technique became slower, the baseline too."""
    return {"a": time_over} | {f"c{number}": time_over for number in range(TECHNIQUES - 1)}


CHANGES = {
    "nothing changed": None,
    f"all slower by the bound, {100 * (AT_BOUND - 1):.0f}%": every(AT_BOUND),
    "all but the baseline slower by the bound": every(AT_BOUND) | {"a": 1.0},
    "one slower by 10%, and it is found": {"c3": SLOWDOWN},
    "all slower by 10%, and all are found": every(SLOWDOWN),
}
JUDGES = (judging.ABSOLUTE, judging.BASELINE)


def rates(pairs: int, chance: Chance) -> dict[str, dict[str, int]]:
    """Return in how many pairs something counted as worse, by what had changed and by what decides.

    Where one technique became slower, only that one counts; where all did by 10%, only if all are named.
    """
    found = {what: dict.fromkeys(JUDGES, 0) for what in CHANGES}
    for pair in range(pairs):
        old = study(2 * pair, chance, prompts_seed=pair)
        for what, slower in CHANGES.items():
            new = study(2 * pair + 1, chance, slower, pair)
            for judge in JUDGES:
                names = {each["name"] for each in judged(old, new, judge)}
                wanted = {name for name, time_over in (slower or {}).items() if time_over == SLOWDOWN}
                found[what][judge] += bool(names and wanted <= names)
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
        print(f"{name}:")
        for what, by_judge in rates(arguments.pairs, replace(chance, runs=arguments.runs)).items():
            for judge, hits in by_judge.items():
                print(f"  {what}; {judge} decides: {share(hits, arguments.pairs)}", flush=True)
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
