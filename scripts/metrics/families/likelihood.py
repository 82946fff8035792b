"""Figures of the teacher-forced passes: reference NLL, and agreement with greedy decoding."""

import numpy as np

from scripts.metrics import figures
from scripts.metrics.entry import LIKELIHOOD, Change, Entry, Place
from scripts.metrics.figures import Figure
from scripts.metrics.recorded import Recorded
from scripts.metrics.runs import apart_reason

ORDER = 80
NLL, GREEDY, LIKELIEST = "reference_nll_per_token", "greedy_agreement", "most_likely_share"
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
          "model once more; where answers are drawn, the ones that the same noise gives again.", shown="percent",
          decimals=1, table=Place("Headlines")),
    Entry(LIKELIEST, "1", "Most likely tokens", "Of drawn answers the share of tokens that the model holds to be the "
          "most likely ones.", shown="percent", decimals=1, table=Place("Headlines")),
)  # fmt: skip
NOT_RECORDED = "not recorded by this run"
OF_A_SERVER = "not measured: a server does not give the logits of its tokens"


def compute(recorded: Recorded) -> dict[str, Figure]:
    """Return the likelihood figures of the first run: ratios of sums, so that each token counts alike."""
    samples = recorded.first.samples
    ratios, result = {}, {}
    not_recorded = OF_A_SERVER if any(sample.tokens for sample in samples) else NOT_RECORDED
    reason = recorded.unscored or apart_reason(recorded.first)
    if reason or all(sample.reference_nll is None for sample in samples):
        result[NLL] = figures.missing(NLL_UNIT, reason or not_recorded)
    else:
        known = [sample.reference_nll is not None for sample in samples]
        ratios[NLL] = (
            np.array([sample.reference_nll or 0.0 for sample in samples]),
            np.where(known, [sample.reference_tokens or 0 for sample in samples], 0.0),
            NLL_UNIT,
        )
    drawn = (recorded.first.info.get("generation") or {}).get("sampling")
    for key, column in ((GREEDY, "argmax_agrees"), (LIKELIEST, "most_likely")):
        passes = np.array(
            [
                [(getattr(s, column), s.new_tokens) if getattr(s, column) is not None else (0, 0) for s in each]
                for each in recorded.first.passes()
            ],
            dtype=float,
        )  # (draws, prompts, 2)
        hits, tokens = passes.sum(axis=0).T
        if tokens.any() or (key == GREEDY and any(sample.argmax_agrees is not None for sample in samples)):
            ratios[key] = (hits, tokens, "1")
        else:
            undrawn = key == LIKELIEST and not drawn
            result[key] = figures.missing("1", "no answer is drawn" if undrawn else not_recorded)
    return result | (figures.ratio_figures(ratios) if ratios else {})


def by_prompt(recorded: Recorded) -> dict[str, list | None]:
    """Return the values that a comparison audits; a column is None where no sample has it."""
    result = {}
    for key in ("margins", "runners_up", "margin_shifts", "reference_nll", "reference_tokens"):
        values = [getattr(sample, key) for sample in recorded.first.samples]
        apart = key.startswith("reference_") and apart_reason(recorded.first)
        result[key] = None if apart or all(value is None for value in values) else values
    return result
