"""What a technique did to the distribution of the next token: its divergence from the parent's, and the best token."""

import numpy as np

from scripts.metrics import figures
from scripts.metrics.entry import Entry, Place
from scripts.metrics.figures import Figure
from scripts.metrics.recorded import Recorded
from scripts.metrics.runs import apart_reason

ORDER = 85
KL, TOP = "kl_divergence_per_token", "top_token_agreement"
UNIT = "nats/token"
FIGURES = (
    Entry(
        KL, UNIT, "KL from parent",
        "Kullback-Leibler divergence of the next token's distribution, the parent's from the technique's, along the "
        "reference headlines; 0 is the parent's own. The most sensitive to what quantisation and pruning do to the "
        "weights; cache, batches, drafts and samplers have no part in that pass, so under a quantised cache there is "
        "none.",
        "low", decimals=5, csv="kl_divergence_per_token_nats", bounds=True, table=Place("Quality"),
    ),
    Entry(
        TOP, "1", "Top-1 agreement",
        "Share of the positions of the reference headlines at which the most likely next token is the parent's.",
        "high", shown="percent", decimals=1, csv="top_token_agreement", bounds=True, table=Place("Quality"),
    ),
)  # fmt: skip
NOT_COMPARED = "not compared with its parent"


def compute(recorded: Recorded) -> dict[str, Figure]:
    """Return the figures of the first run: ratios of sums over prompts, so that each kept position counts alike."""
    compared = recorded.distributions
    reason = (
        recorded.unscored or apart_reason(recorded.first) or (NOT_COMPARED if compared is None else compared.reason)
    )
    if reason is not None:
        return {KL: figures.missing(UNIT, reason), TOP: figures.missing("1", reason)}
    positions = np.array(compared.positions, dtype=float)
    found = figures.ratio_figures(
        {KL: (np.array(compared.divergence), positions, UNIT), TOP: (np.array(compared.agree), positions, "1")}
    )
    beside = f"against {compared.against}, at {int(positions.sum()):,} positions"
    for figure in found.values():
        figure["note"] = "; ".join(filter(None, (figure["note"], beside)))
    return found


def by_prompt(recorded: Recorded) -> dict[str, list | None]:
    """Return the sums of each prompt."""
    compared = recorded.distributions
    if compared is None or compared.reason is not None or apart_reason(recorded.first):
        return {"kl_divergence": None, "kl_positions": None}
    return {"kl_divergence": compared.divergence, "kl_positions": compared.positions}
