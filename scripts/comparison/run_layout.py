"""Run-to-run variance of each technique, adjusted for round effects and pooled by empirical Bayes.

Runs go in rounds, each technique once in every round, so a machine that is slower for a while is slower for all.
The log of a timing is technique + round + residual (a two-way layout with one observation a cell), and the residual's
variance differs by technique, since a process group scatters more than one process. Round effects are weighted means
over techniques, weighted by precision, and the residual variance has the remaining degrees of freedom (Grubbs,
On Estimating Precision of Measuring Instruments and Product Variability, JASA 43, 1948, with weights).

A few runs say little about one variance, but part of it is known: the scatter of single requests gives its share
(``run_scatter`` of a figure), and processes vary on one machine for reasons of the machine. So the expected variance is
scatter + common, with one common part for the study, and a technique's own estimate is scattered about that by an F
distribution whose denominator says how far techniques agree (Smyth, Linear Models and Empirical Bayes Methods, 2004,
sections 3 and 6; a trend as in Law et al., voom, Genome Biology 15, 2014). Own and expected variance are averaged by
their degrees of freedom, with two guards against underestimating a noisy technique: the prior counts as at most
seven runs, and no pooled variance is below the expected one.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

MIN_TECHNIQUES = 6
"""Minimum number of techniques for pooling: with fewer, their agreement is unknown."""
MAX_PRIOR_FREEDOM = 6.0
"""Maximum degrees of freedom of the expected (prior) variance."""
FREEDOMS = np.array([0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 20, 40, 1e6])
COMMON_STEPS = 40
TINY = 1e-14
"""A variance of log times below anything that a clock resolves."""


@dataclass(frozen=True)
class RunNoise:
    """The variance of one run's log value about its technique's and its round's level.

    Attributes:
        variance: pooled variance; 0 where runs do not vary at all.
        freedom: its degrees of freedom.
        most: degrees of freedom of all techniques together, which no sum of variances can exceed.
    """

    variance: float
    freedom: float
    most: float


def run_noise(groups: dict[str, tuple[float, ...]], scatter: dict[str, float]) -> dict[str, RunNoise]:
    """Estimate the noise of each technique's runs; none with fewer than six techniques or two rounds.

    Args:
        groups: per technique one positive value a round, as many for each.
        scatter: per technique the relative variance that the scatter of requests gives a run's value, 0 where unknown.
    """
    if len(groups) < MIN_TECHNIQUES or len(next(iter(groups.values()))) < 2:
        return {}
    logs = np.log(np.array(list(groups.values())))  # (techniques, rounds)
    known = np.array([scatter[name] for name in groups])
    own, freedom = _own(logs), logs.shape[1] - 1
    most = float(freedom * (len(groups) - 1))
    if not (own > TINY).any():
        return {name: RunNoise(0.0, most, most) for name in groups}
    common, agreement = _expected(own, known, freedom)
    prior = min(agreement, MAX_PRIOR_FREEDOM)
    expected = known + common
    pooled = np.maximum((prior * expected + freedom * own) / (prior + freedom), expected)
    pooled_freedom = min(prior + freedom, most)
    return {
        name: RunNoise(float(variance), pooled_freedom, most) for name, variance in zip(groups, pooled, strict=True)
    }


def _own(logs: np.ndarray, repetitions: int = 4) -> np.ndarray:
    """Return each technique's variance without the rounds' effects, (techniques, rounds) to (techniques,)."""
    techniques, rounds = logs.shape
    centred = logs - logs.mean(axis=1, keepdims=True)
    shares = np.full(techniques, 1 / techniques)
    for _ in range(repetitions):
        rest = centred - shares @ centred
        # A technique is part of the round effect that is taken out of it, by its share.
        own = (rest**2).sum(axis=1) / ((rounds - 1) * np.maximum(1 - shares, 1 / techniques))
        weights = 1 / np.maximum(own, own.max() * 1e-6 + TINY)
        shares = weights / weights.sum()
    return own


def _expected(own: np.ndarray, scatter: np.ndarray, freedom: int) -> tuple[float, float]:
    """Return the common part of the variances and the prior degrees of freedom, by maximum likelihood."""
    positive = own[own > TINY]
    common = np.concatenate([[0.0], np.geomspace(positive.min() / 20, 2 * positive.max(), COMMON_STEPS)])
    expected = np.maximum(scatter + common[:, None], TINY)  # (common, techniques)
    ratios = np.maximum(own, TINY) / expected
    likelihoods = _log_f(ratios[:, None], freedom, FREEDOMS[:, None]) - np.log(expected)[:, None]
    row, column = np.unravel_index(likelihoods.sum(axis=2).argmax(), likelihoods.shape[:2])
    return float(common[row]), float(FREEDOMS[column])


def _log_f(x: np.ndarray, top: float, bottom: np.ndarray) -> np.ndarray:
    """Return the log density of the F distribution, as ``scipy.stats.f.logpdf`` gives it, at a tenth of its cost."""
    half, other = top / 2, bottom / 2
    return (
        half * np.log(top / bottom)
        + (half - 1) * np.log(x)
        - (half + other) * np.log1p(top * x / bottom)
        - special.betaln(half, other)
    )
