"""The bootstrap over prompts that every interval of a mean, a ratio or a change rests on."""

import numpy as np
from scipy import stats

LEVEL = 0.95
RESAMPLES = 9_999
SEED = 0
FEWEST = 10
"""Below this many prompts no interval is given: a resampled handful says little about the prompts to come."""


def resampled_means(columns: np.ndarray) -> np.ndarray:
    """Return the means of each column over resampled prompts.

    Every column sees the same draws, so a difference or a ratio of two columns is paired by prompt. The seed is fixed:
    the same columns always give the same intervals.

    Args:
        columns: shape (columns, prompts).

    Returns:
        Shape (columns, resamples).
    """
    prompts = columns.shape[1]

    def means(drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        # How often each prompt was drawn, then one matrix product: far cheaper than gathering every column.
        rows = np.arange(len(drawn))[:, None] * prompts
        counts = np.bincount((drawn + rows).ravel(), minlength=drawn.size).reshape(drawn.shape)  # (batch, prompts)
        return columns @ counts.T / prompts

    result = stats.bootstrap(
        (np.arange(prompts),),
        means,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=1_000,
        method="percentile",
        rng=np.random.default_rng(SEED),
    )
    return result.bootstrap_distribution


def percentile_interval(distribution: np.ndarray) -> tuple[float, float] | tuple[None, None]:
    """Return the 95% percentile interval of a bootstrap distribution, or (None, None) where it is not finite."""
    if not np.isfinite(distribution).all():
        return None, None
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(distribution, [tail, 1 - tail])
    return float(low), float(high)


def ratio_interval(tops: np.ndarray, bottoms: np.ndarray) -> tuple[float, float] | tuple[None, None]:
    """Return the 95% interval of a ratio of means; (None, None) where a resample has a denominator of zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return percentile_interval(tops / bottoms)
