"""What all techniques of a study say together of how much processes vary on this machine.

Three runs say little of a technique's own variance; but what makes processes vary (memory layout, clocks, neighbours)
does so whatever they run. Each technique's variance of log means is therefore drawn towards the one that the study has
in common, by as much as the variances agree: the empirical Bayes estimate of Smyth, Linear Models and Empirical Bayes
Methods, Statistical Applications in Genetics and Molecular Biology 3(1), 2004, sections 4 and 6.2. Where they don't
agree, each keeps its own.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

FEWEST = 6
"""Techniques below which the variances are left alone: too few to tell how far they agree."""


@dataclass(frozen=True)
class Prior:
    """What is known of a variance before a technique's own runs are looked at.

    Attributes:
        variance: the common variance of per-run log means.
        freedom: how many degrees of freedom it is worth; infinite where all variances agree.
        residual: degrees of freedom of all techniques together, which no estimate can exceed.
    """

    variance: float
    freedom: float
    residual: float

    def moderate(self, variance: float, freedom: float) -> tuple[float, float]:
        """Return a technique's variance and its degrees of freedom with the prior's added."""
        if np.isinf(self.freedom):
            return self.variance, self.residual
        total = self.freedom + freedom
        return (self.freedom * self.variance + freedom * variance) / total, min(total, self.residual)


def prior(groups: list[tuple[float, ...]]) -> Prior | None:
    """Estimate the prior by matching moments of the log variances (Smyth, section 6.2).

    Args:
        groups: per technique its per-run means.

    Returns:
        None with fewer than six techniques that have two runs and vary at all.
    """
    logs = [np.log(runs) for runs in groups if len(runs) > 1 and min(runs) > 0]
    known = [(np.var(values, ddof=1), len(values) - 1) for values in logs]
    known = [(variance, freedom) for variance, freedom in known if variance > 0]
    if len(known) < FEWEST:
        return None
    variances, freedoms = np.array(known, dtype=float).T
    centred = np.log(variances) - special.digamma(freedoms / 2) + np.log(freedoms / 2)
    excess = centred.var(ddof=1) - special.polygamma(1, freedoms / 2).mean()
    residual = float(freedoms.sum())
    if excess <= 0:
        return Prior(float(np.exp(centred.mean())), np.inf, residual)
    half = optimize.brentq(lambda x: special.polygamma(1, x) - excess, 1e-6, 1e8)  # trigamma falls steadily
    common = np.exp(centred.mean() + special.digamma(half) - np.log(half))
    return Prior(float(common), float(2 * half), residual)
