"""The bootstrap over prompts behind every interval of a mean, ratio or change."""

import functools

import numpy as np

LEVEL = 0.95
RESAMPLES = 9_999
SEED = 0
MIN_PROMPTS = 10
"""Below this many prompts no interval is given: a resampled handful says little about the prompts to come."""
FEW_IN_TAIL = 10
"""Resamples in a tail below which their count says too little of how thin it is."""
DRAWN_AT_ONCE = 1_000
PRODUCT_SIZE = 250_000
"""Multiplications in one matrix product: OpenBLAS keeps that many on one core, and on a busy machine waking the others
costs fifty times what it saves."""


def resampled_means(columns: np.ndarray) -> np.ndarray:
    """Return the means of each column over resampled prompts (Efron and Tibshirani, 1993, chapter 6).

    Deviations from the column's mean are expanded by the ratio of Student's t to the bootstrap's normal width, 4% with
    48 prompts, for nominal coverage with few prompts (Hesterberg, What Teachers Should Know About the Bootstrap,
    American Statistician 69, 2015: expanded percentiles). Means of non-negative columns are clipped at 0.

    Every column sees the same draws, so a difference or a ratio of two columns is paired by prompt. The seed is fixed:
    the same columns always give the same intervals.

    Args:
        columns: shape (columns, prompts).

    Returns:
        Shape (columns, resamples).
    """
    prompts = columns.shape[1]
    drawn = _draws(prompts, RESAMPLES)
    means = np.empty((len(columns), len(drawn)))
    block = max(1, PRODUCT_SIZE // max(1, columns.size))
    for start in range(0, len(drawn), block):
        # How often each prompt was drawn, then a matrix product: far cheaper than gathering every column.
        means[:, start : start + block] = columns @ drawn[start : start + block].T.astype(float)
    means /= prompts
    centres = columns.mean(axis=1, keepdims=True)
    means = centres + _expansion(prompts) * (means - centres)
    positive = (columns >= 0).all(axis=1)
    means[positive] = np.maximum(means[positive], 0.0)
    return means


def _expansion(prompts: int) -> float:
    """Return how much wider t with its unbiased standard error is than the normal with the bootstrap's."""
    upper = (1 + LEVEL) / 2
    from scipy import stats  # late: it takes a second

    return float(stats.t.ppf(upper, prompts - 1) / stats.norm.ppf(upper) * np.sqrt(prompts / (prompts - 1)))


@functools.lru_cache(maxsize=4)
def _draws(prompts: int, resamples: int) -> np.ndarray:
    """Return how often each prompt is in each resample, shape (resamples, prompts); not to be changed."""
    drawn = np.random.default_rng(SEED).integers(prompts, size=(resamples, prompts), dtype=np.int32)
    # No prompt is in a resample 65,536 times; 2 bytes a count keep 10,000 resamples of 1,000 prompts at 20 MB.
    counts = np.empty(drawn.shape, dtype=np.uint16)
    for start in range(0, resamples, DRAWN_AT_ONCE):
        block = drawn[start : start + DRAWN_AT_ONCE]
        rows = np.arange(len(block))[:, None] * prompts
        counted = np.bincount((block + rows).ravel(), minlength=block.size)
        counts[start : start + DRAWN_AT_ONCE] = counted.reshape(block.shape)
    counts.flags.writeable = False
    return counts


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


def variance(distribution: np.ndarray, prompts: int) -> float:
    """Return the variance of a mean over so many prompts from its resamples, their expansion taken back."""
    t_over_normal = _expansion(prompts) / np.sqrt(prompts / (prompts - 1))  # the rest of it makes a variance unbiased
    return float(distribution.var()) / t_over_normal**2


def two_sided_p(distribution: np.ndarray, prompts: int, tolerance: float = 1e-9) -> float:
    """Return the two-sided bootstrap p-value of zero: twice the smaller tail, counted with one extra resample.

    Davison and Hinkley, Bootstrap Methods and their Application, section 4.2. A change of exactly nothing comes out as
    rounding noise of either sign, hence the tolerance. Resamples can't tell p-values far below one in their number, but
    a correction over hundreds of techniques asks for them: where fewer than ten lie in the tail, it is Student's t with
    the resamples' standard error, if that is smaller.

    Args:
        distribution: of the resampled value, shape (resamples,).
        prompts: how many prompts were resampled.
        tolerance: what counts as zero.
    """
    below = int((distribution <= tolerance).sum())
    above = int((distribution >= -tolerance).sum())
    counted = min(1.0, 2 * (min(below, above) + 1) / (len(distribution) + 1))
    if min(below, above) >= FEW_IN_TAIL:
        return counted
    error = np.sqrt(variance(distribution, prompts))
    distance = abs(float(distribution.mean())) / error if error else np.inf
    from scipy import stats  # late: it takes a second

    return min(counted, float(2 * stats.t.sf(distance, prompts - 1)))
