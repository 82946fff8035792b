"""Acceptance of drafted tokens by the target model.

``acceptance_rate`` is the chance that a drafted token is accepted when the ones before it were (alpha of Leviathan et
al., 2023): accepted / (accepted + rejected); tokens drafted behind a rejected one are never judged. ``drafted_kept``
is the share of all drafted tokens that was accepted. Where acceptance is forced, a draw took the target's place.
"""

import numpy as np

from scripts.metrics import figures
from scripts.metrics.entry import Entry, missing
from scripts.metrics.figures import Figure
from scripts.metrics.recorded import Recorded
from scripts.metrics.runs import is_random
from scripts.metrics.samples import COUNTS

ORDER = 60
FORCED = "accepted by a draw, not by the target"
FIGURES = (
    Entry("acceptance_rate", "1", "Acceptance rate", "Chance that a drafted token is accepted when the ones before it "
          "were: accepted / (accepted + rejected) (alpha of Leviathan et al., 2023).", "high",
          shown="percent", csv="acceptance_rate"),
    Entry("drafted_kept", "1", "Drafted tokens kept", "Share of all drafted tokens that was accepted.", "high",
          shown="percent", csv="drafted_kept"),
    Entry("accepted_per_round", "tokens", "Accepted a round", "Accepted tokens over the rounds of drafting.", "high"),
)  # fmt: skip


def compute(recorded: Recorded) -> dict[str, Figure]:
    """Return the figures of the first run, without values where nothing is drafted or a figure is undefined."""
    run = recorded.first
    if all(sample.drafted_tokens is None for sample in run.samples):
        return missing(FIGURES, "no speculation")
    forced = "forced_acceptance" in (run.settings.get("speculation") or {})
    unscored = recorded.unscored or ("not measured: random weights" if is_random(run, "draft") else None)
    if unscored and not forced:
        return missing(FIGURES, unscored)
    drafted, accepted, rejected, rounds = (np.array(by_prompt(recorded)[key], dtype=float) for key in COUNTS)
    found = figures.ratio_figures(
        {
            "acceptance_rate": (accepted, accepted + rejected, "1"),
            "drafted_kept": (accepted, drafted, "1"),
            "accepted_per_round": (accepted, rounds, "tokens"),
        }
    )
    for figure in found.values() if forced else ():
        figure["note"] = "; ".join(filter(None, (FORCED, figure["note"])))
    return found


def by_prompt(recorded: Recorded) -> dict[str, list[int]]:
    """Return what became of each prompt's drafted tokens, over all of its draws; nothing where none are drafted."""
    run = recorded.first
    if all(sample.drafted_tokens is None for sample in run.samples):
        return {}
    answers = list(zip(*run.passes(), strict=True))  # of each prompt
    return {key: [sum(getattr(sample, key) or 0 for sample in each) for each in answers] for key in COUNTS}
