"""What came out: lengths in tokens, empty headlines, and why generation stopped."""

import numpy as np

from scripts.metrics import figures
from scripts.metrics.figures import Figure
from scripts.metrics.runs import STOP_REASONS, Run

UNITS = {"new_tokens": "tokens", "empty_share": "1"} | {f"stop_{reason}_share": "1" for reason in STOP_REASONS}


def output_figures(run: Run, unscored: str | None = None) -> dict[str, Figure]:
    """Return the output figures of one run.

    Args:
        run: the first run of the technique.
        unscored: why its text means nothing; then only the token count has a value.
    """
    n = len(run.samples)
    tokens = np.array([sample.new_tokens for sample in run.samples], dtype=float)
    result = figures.mean_figures({"new_tokens": (tokens, UNITS["new_tokens"])})
    if unscored:
        return result | {key: figures.missing(unit, unscored) for key, unit in UNITS.items() if key not in result}
    result["empty_share"] = figures.share_figure(sum(not sample.headline.split() for sample in run.samples), n)
    for reason in STOP_REASONS:
        hits = sum(sample.stop_reason == reason for sample in run.samples)
        result[f"stop_{reason}_share"] = figures.share_figure(hits, n)
    return result
