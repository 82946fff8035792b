"""What teacher-forced passes say: how likely the technique finds the reference headlines, and whether it was greedy."""

import numpy as np

from scripts.metrics import figures
from scripts.metrics.figures import Figure
from scripts.metrics.runs import Run, unscored_reason

UNITS = {"reference_nll_per_token": "nats/token", "greedy_agreement": "1"}
NOT_RECORDED = "not recorded by this run"


def likelihood_figures(run: Run) -> dict[str, Figure]:
    """Return the likelihood figures of a technique's first run.

    ``reference_nll_per_token`` is the negative log-likelihood of all reference tokens over their number: a ratio of
    sums, so that each token counts alike. ``greedy_agreement`` is the share of generated tokens that are the argmax of
    the technique's own teacher-forced pass over them.
    """
    ratios, result = {}, {}
    unscored = unscored_reason(run)
    if unscored:
        result["reference_nll_per_token"] = figures.missing(UNITS["reference_nll_per_token"], unscored)
    elif all(sample.reference_nll is None for sample in run.samples):
        result["reference_nll_per_token"] = figures.missing(UNITS["reference_nll_per_token"], NOT_RECORDED)
    else:
        known = [sample.reference_nll is not None for sample in run.samples]
        ratios["reference_nll_per_token"] = (
            np.array([sample.reference_nll or 0.0 for sample in run.samples]),
            np.where(known, [sample.reference_tokens or 0 for sample in run.samples], 0.0),
            UNITS["reference_nll_per_token"],
        )
    if all(sample.argmax_agrees is None for sample in run.samples):
        result["greedy_agreement"] = figures.missing("1", NOT_RECORDED)
    else:
        judged = [sample.argmax_agrees is not None for sample in run.samples]
        ratios["greedy_agreement"] = (
            np.array([sample.argmax_agrees or 0.0 for sample in run.samples]),
            np.where(judged, [sample.new_tokens for sample in run.samples], 0.0),
            UNITS["greedy_agreement"],
        )
    return result | (figures.ratio_figures(ratios) if ratios else {})


def columns(run: Run) -> dict[str, list | None]:
    """Return the values per sample that a comparison audits; a column is None where no sample has it."""
    result = {}
    for key in ("margins", "runners_up", "margin_shifts", "reference_nll", "reference_tokens"):
        values = [getattr(sample, key) for sample in run.samples]
        result[key] = None if all(value is None for value in values) else values
    return result
