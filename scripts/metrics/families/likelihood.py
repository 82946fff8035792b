"""Figures of the teacher-forced passes: reference NLL, and agreement with greedy decoding."""

import numpy as np

from scripts.metrics import figures
from scripts.metrics.entry import LIKELIHOOD, Change, Entry, Place
from scripts.metrics.figures import Figure
from scripts.metrics.recorded import Recorded

ORDER = 80
NLL, GREEDY = "reference_nll_per_token", "greedy_agreement"
NLL_UNIT = "nats/token"
FIGURES = (
    Entry(
        NLL, NLL_UNIT, "Reference NLL",
        "Negative log-likelihood of the reference headlines and their end after the same prompt, in nats per token; "
        "lower is better. It moves before the words do.",
        "low", decimals=3, csv="reference_nll_per_token_nats", table=Place("Quality"),
        change=Change("reference_nll_change", LIKELIHOOD, "reference_nll", "reference_tokens", family="likelihood",
                      words=("better", "worse"), csv=True, verdict="reference_nll_verdict"),
    ),
    Entry(GREEDY, "1", "Greedy", "Share of tokens that are the most likely ones when the text is passed through the "
          "model once more.", shown="percent", decimals=1, table=Place("Headlines")),
)  # fmt: skip
NOT_RECORDED = "not recorded by this run"
OF_A_SERVER = "not measured: a server does not give the logits of its tokens"


def compute(recorded: Recorded) -> dict[str, Figure]:
    """Return the likelihood figures of the first run: ratios of sums, so that each token counts alike."""
    samples = recorded.first.samples
    ratios, result = {}, {}
    not_recorded = OF_A_SERVER if any(sample.tokens for sample in samples) else NOT_RECORDED
    if recorded.unscored or all(sample.reference_nll is None for sample in samples):
        result[NLL] = figures.missing(NLL_UNIT, recorded.unscored or not_recorded)
    else:
        known = [sample.reference_nll is not None for sample in samples]
        ratios[NLL] = (
            np.array([sample.reference_nll or 0.0 for sample in samples]),
            np.where(known, [sample.reference_tokens or 0 for sample in samples], 0.0),
            NLL_UNIT,
        )
    if all(sample.argmax_agrees is None for sample in samples):
        result[GREEDY] = figures.missing("1", not_recorded)
    else:
        judged = [sample.argmax_agrees is not None for sample in samples]
        ratios[GREEDY] = (
            np.array([sample.argmax_agrees or 0.0 for sample in samples]),
            np.where(judged, [sample.new_tokens for sample in samples], 0.0),
            "1",
        )
    return result | (figures.ratio_figures(ratios) if ratios else {})


def by_prompt(recorded: Recorded) -> dict[str, list | None]:
    """Return the values that a comparison audits; a column is None where no sample has it."""
    result = {}
    for key in ("margins", "runners_up", "margin_shifts", "reference_nll", "reference_tokens"):
        values = [getattr(sample, key) for sample in recorded.first.samples]
        result[key] = None if all(value is None for value in values) else values
    return result
