"""Ratios of timings whose intervals know both of their sources of chance: the prompts, and the processes.

A process is faster or slower as a whole (memory layout, clocks, what else the machine does), and no number of prompts
averages that out: Kalibera and Jones, Rigorous Benchmarking in Reasonable Time, ISMM 2013. So the distribution of a log
ratio is the paired bootstrap over prompts of the run-averaged times plus a process term: Student's t with Welch's
degrees of freedom (Welch, Biometrika 34, 1947) times the standard error of the difference of the per-run log means,
whose variances are moderated where the study has enough techniques (``moderation``).
The scatter of single requests inside a run is in both parts, so where it can be told from what prompts do to techniques
(``noise``) it is taken out of the first; where it can't, the interval is wider than it need be.
"""

from dataclasses import dataclass

import numpy as np

from scripts.comparison.moderation import Prior
from scripts.metrics import figures, resampling
from scripts.metrics.figures import Figure

ONE_RUN = "not tested: one run"
FEW_PROMPTS = "not tested: too few prompts"
ONE_RUN_NOTE = "one run: the interval speaks of other prompts, not of another process"
NO_INTERVAL = "one of the two can be zero or have no value: no interval"
TWO_LEVELS = "paired bootstrap over prompts with Welch's t over runs"
PROMPTS_ONLY = "paired bootstrap"
RUNS_ONLY = "Welch's t over runs"


@dataclass(frozen=True)
class Quantity:
    """A mean, or a ratio of means, of one technique.

    Attributes:
        prompts: how many prompts it rests on.
        value: over all of them.
        spread: over resampled prompts, shape (resamples,), the same draws for every quantity; None with few prompts.
        runs: one value a run where processes make it vary, else None.
        batches: how many batches were resampled in place of the prompts, or None.
        noise: the relative variance of the value that the scatter of requests inside runs gives it; 0 where unknown.
        prior: how much processes vary over the whole study; None where too few techniques say so.
    """

    prompts: int
    value: float
    spread: np.ndarray | None
    runs: tuple[float, ...] | None = None
    batches: int | None = None
    noise: float = 0.0
    prior: Prior | None = None


@dataclass(frozen=True)
class Ratio:
    """A ratio of quantities; bounds, p-value of "the ratio is 1" and their method are None where they are not known."""

    prompts: int
    value: float
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    interval: str | None = None
    note: str | None = None
    verdict: str | None = None  # set where there is no test


def ratio(tops: list[Quantity], bottoms: list[Quantity]) -> Ratio | None:
    """Return the product of ``tops`` over the product of ``bottoms``, or None where it has no finite value."""
    quantities = [*tops, *bottoms]
    prompts = quantities[0].prompts
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        value = np.prod([top.value for top in tops]) / np.float64(np.prod([bottom.value for bottom in bottoms]))
        if not np.isfinite(value):
            return None
        if any(quantity.spread is None for quantity in quantities):
            return _few(quantities, float(value))
        spread = np.ones_like(quantities[0].spread)
        for top in tops:
            spread = spread * top.spread
        for bottom in bottoms:
            spread = spread / bottom.spread
    runs = [quantity.runs for quantity in quantities]
    if all(values is None for values in runs):
        return _over_prompts(prompts, float(value), spread)
    if not (np.isfinite(spread) & (spread > 0)).all():
        return Ratio(prompts, float(value), note=NO_INTERVAL)
    if any(values is None or len(values) < 2 for values in runs):
        low, high = resampling.percentile_interval(spread)
        return Ratio(prompts, float(value), low, high, None, PROMPTS_ONLY, ONE_RUN_NOTE, ONE_RUN)
    logs = _without_noise(np.log(spread), np.log(value), sum(quantity.noise for quantity in quantities))
    return _over_runs(quantities, float(value), logs, TWO_LEVELS)


def _over_runs(
    quantities: list[Quantity], value: float, logs: np.ndarray, interval: str, note: str | None = None
) -> Ratio:
    """Build a ratio from the distribution of its logarithm over prompts and the runs of its quantities."""
    logs = logs + process_term([np.log(quantity.runs) for quantity in quantities], quantities[0].prior)
    low, high = np.exp(resampling.percentile_interval(logs))
    p_value = resampling.two_sided_p(logs, 1e-11)
    return Ratio(quantities[0].prompts, value, float(low), float(high), p_value, interval, note)


def _few(quantities: list[Quantity], value: float) -> Ratio:
    """Build a ratio over too few prompts to resample, or over enough prompts in too few batches.

    The latter is tested over runs alone: large batches are few by nature, and these very prompts are a fair workload.
    """
    note = few_note(quantities[0])
    if quantities[0].batches is None or value <= 0 or any(len(quantity.runs or ()) < 2 for quantity in quantities):
        return Ratio(quantities[0].prompts, value, note=note, verdict=FEW_PROMPTS)
    same = np.full(resampling.RESAMPLES, np.log(value))
    note = f"{note} over prompts: it speaks of these prompts in other processes"
    return _over_runs(quantities, value, same, RUNS_ONLY, note)


def request_noise(times: np.ndarray) -> float:
    """Return the relative variance that the scatter of requests inside runs gives to the mean over runs and prompts.

    Args:
        times: shape (runs, prompts), at least two runs; what is left of them without the runs' and the prompts' own
            levels is the scatter (a two-way layout with one observation a cell).
    """
    runs, prompts = times.shape
    relative = times / times.mean(axis=1, keepdims=True)
    return float(relative.var(axis=0, ddof=1).mean() / (runs * prompts))


def _without_noise(logs: np.ndarray, centre: float, noise: float) -> np.ndarray:
    """Narrow a distribution by the variance that the process term has too."""
    variance = logs.var()
    share = max(0.0, 1 - noise / variance) if variance > 0 else 1.0
    return centre + np.sqrt(share) * (logs - centre)


def _over_prompts(prompts: int, value: float, spread: np.ndarray) -> Ratio:
    """Build a ratio that no process makes vary."""
    if not np.isfinite(spread).all():
        return Ratio(prompts, value, note=NO_INTERVAL)
    low, high = resampling.percentile_interval(spread)
    return Ratio(prompts, value, low, high, resampling.two_sided_p(spread - 1, 1e-11), PROMPTS_ONLY)


def process_term(logs: list[np.ndarray], prior: Prior | None = None) -> np.ndarray:
    """Draw what processes add to a sum or difference of means, from a fixed seed.

    Args:
        logs: per technique its per-run log values, at least two each.
        prior: what moderates their variances, if anything.

    Returns:
        Shape (resamples,): standard error times t with the degrees of freedom of Welch and Satterthwaite, which for two
        techniques are those of ``scipy.stats.ttest_ind(equal_var=False)``; zeros where no runs differ.
    """
    own = [(float(np.var(values, ddof=1)), len(values) - 1) for values in logs]
    moderated = np.array([prior.moderate(*each) if prior else each for each in own])
    variances = moderated[:, 0] / np.array([len(values) for values in logs])
    total = variances.sum()
    if total == 0:
        return np.zeros(resampling.RESAMPLES)
    freedom = total**2 / (variances**2 / moderated[:, 1]).sum()
    if prior:
        freedom = min(freedom, prior.residual)
    # A seed of its own, as the draws of the prompts have one: the two must be independent.
    draws = np.random.default_rng(resampling.SEED + 1).standard_t(freedom, resampling.RESAMPLES)
    return np.sqrt(total) * draws


def few_note(quantity: Quantity) -> str:
    """Say that there are too few prompts, or batches of them, for an interval."""
    if quantity.batches is None:
        return figures.few_note(quantity.prompts)
    return figures.few_note(quantity.batches, "batches")


def percent_figure(found: Ratio | None, offset: float) -> Figure:
    """Build a figure in percent, 100 * ratio - offset, with the ratio itself beside it."""
    if found is None:
        return figures.missing("%", "the reference is zero or one of the two has no value")
    low, high = (None if end is None else 100 * end - offset for end in (found.low, found.high))
    built = figures.figure(
        100 * found.value - offset, "%", found.prompts, (low, high), found.interval, found.note, p_value=found.p_value
    )
    return _with_ratio(built, found)


def ratio_figure(found: Ratio | None) -> Figure:
    """Build a figure of the ratio itself."""
    if found is None:
        return figures.missing("1", "one of them has no value")
    bounds = (found.low, found.high)
    built = figures.figure(found.value, "1", found.prompts, bounds, found.interval, found.note, p_value=found.p_value)
    return _with_ratio(built, found)


def _with_ratio(built: Figure, found: Ratio) -> Figure:
    built |= {"ratio": found.value, "ratio_low": found.low, "ratio_high": found.high}
    return built if found.verdict is None else built | {"verdict": found.verdict}
