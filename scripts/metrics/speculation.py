"""How much of what was drafted the target model took.

``acceptance_rate`` is the chance that a drafted token is accepted when the ones before it were (alpha of Leviathan et
al., 2023): accepted / (accepted + rejected); tokens drafted behind a rejected one are never judged. ``drafted_kept``
is the share of all drafted tokens that was accepted. Where acceptance is forced, a draw took the target's place.
"""

import numpy as np

from scripts.metrics import figures
from scripts.metrics.figures import Figure
from scripts.metrics.runs import Run, is_random, unscored_reason

FORCED = "accepted by a draw, not by the target"
UNITS = {"acceptance_rate": "1", "drafted_kept": "1", "accepted_per_round": "tokens"}


def speculation_figures(run: Run) -> dict[str, Figure]:
    """Return the speculation figures of one run, without values where nothing is drafted or a figure is undefined."""
    if all(sample.drafted_tokens is None for sample in run.samples):
        return {key: figures.missing(unit, "no speculation") for key, unit in UNITS.items()}
    forced = "forced_acceptance" in ((run.info.get("settings") or {}).get("speculation") or {})
    unscored = unscored_reason(run) or ("not measured: random weights" if is_random(run, "draft") else None)
    if unscored and not forced:
        return {key: figures.missing(unit, unscored) for key, unit in UNITS.items()}
    drafted = np.array([sample.drafted_tokens or 0 for sample in run.samples], dtype=float)
    accepted = np.array([sample.accepted_tokens or 0 for sample in run.samples], dtype=float)
    rejected = np.array([sample.rejected_tokens or 0 for sample in run.samples], dtype=float)
    rounds = np.array([sample.rounds or 0 for sample in run.samples], dtype=float)
    found = figures.ratio_figures(
        {
            "acceptance_rate": (accepted, accepted + rejected, UNITS["acceptance_rate"]),
            "drafted_kept": (accepted, drafted, UNITS["drafted_kept"]),
            "accepted_per_round": (accepted, rounds, UNITS["accepted_per_round"]),
        }
    )
    for figure in found.values() if forced else ():
        figure["note"] = "; ".join(filter(None, (FORCED, figure["note"])))
    return found
