"""What came out: lengths in tokens and words, empty headlines, and why generation stopped."""

import numpy as np

from scripts.metrics import figures
from scripts.metrics.figures import Figure
from scripts.metrics.runs import STOP_REASONS, Run

RANDOM = "not measured: random weights"


def output_figures(run: Run, quality_measured: bool) -> dict[str, Figure]:
    """Return the output figures of one run; with random weights only the token count has a value."""
    n = len(run.samples)
    tokens = np.array([sample.new_tokens for sample in run.samples], dtype=float)
    result = figures.mean_figures({"new_tokens": (tokens, "tokens")})
    if not quality_measured:
        shares = [f"stop_{reason}_share" for reason in STOP_REASONS]
        result["headline_words"] = figures.missing("words", RANDOM)
        return result | {key: figures.missing("1", RANDOM) for key in ["empty_share", *shares]}
    words = np.array([len(sample.headline.split()) for sample in run.samples], dtype=float)
    result |= figures.mean_figures({"headline_words": (words, "words")})
    result["empty_share"] = figures.share_figure(int((words == 0).sum()), n)
    for reason in STOP_REASONS:
        hits = sum(sample.stop_reason == reason for sample in run.samples)
        result[f"stop_{reason}_share"] = figures.share_figure(hits, n)
    return result
