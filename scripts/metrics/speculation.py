"""How much of what was drafted the target model took: acceptance rate and tokens accepted per round."""

import numpy as np

from scripts.metrics import figures
from scripts.metrics.figures import Figure
from scripts.metrics.runs import Run

UNITS = {"acceptance_rate": "1", "accepted_per_round": "tokens"}


def speculation_figures(run: Run, weights_are_random: bool) -> dict[str, Figure]:
    """Return the speculation figures of one run, without values where nothing is drafted or the weights are random."""
    if all(sample.drafted_tokens is None for sample in run.samples):
        return {key: figures.missing(unit, "no speculation") for key, unit in UNITS.items()}
    if weights_are_random:
        return {key: figures.missing(unit, "not measured: random weights") for key, unit in UNITS.items()}
    drafted = np.array([sample.drafted_tokens or 0 for sample in run.samples], dtype=float)
    accepted = np.array([sample.accepted_tokens or 0 for sample in run.samples], dtype=float)
    rounds = np.array([sample.rounds or 0 for sample in run.samples], dtype=float)
    return figures.ratio_figures(
        {
            "acceptance_rate": (accepted, drafted, UNITS["acceptance_rate"]),
            "accepted_per_round": (accepted, rounds, UNITS["accepted_per_round"]),
        }
    )
