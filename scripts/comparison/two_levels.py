"""Ratios of timings with two-level intervals: over prompts, and over runs (processes).

A process is faster or slower as a whole (memory layout, clocks, what else the machine does), and no number of prompts
averages that out: Kalibera and Jones, Rigorous Benchmarking in Reasonable Time, ISMM 2013. So the variance of a log
ratio is that of the paired bootstrap over prompts plus that between runs, and its distribution is Student's t with the
degrees of freedom of Satterthwaite (Biometrics Bulletin 2, 1946). The runs' variance depends on their order:

- interleaved in rounds: differences within rounds, with each technique's pooled variance (``run_layout``), or with too
  few techniques for that the differences' own variance (a paired t test);
- not interleaved: Welch's sum of both variances (Biometrika 34, 1947).

The scatter of single requests inside a run is in both components, so it is taken out of the first
(``Quantity.scatter``).
"""

from dataclasses import asdict, dataclass, field

import numpy as np
from scipy import stats

from scripts.comparison.run_layout import RunNoise
from scripts.metrics import figures, resampling
from scripts.metrics.figures import Figure

ONE_RUN = "not tested: one run"
FEW_PROMPTS = "not tested: too few prompts"
ONE_RUN_NOTE = "one run: the interval speaks of other prompts, not of another process"
NO_INTERVAL = "one of the two can be zero or have no value: no interval"
PROMPTS_ONLY = "paired bootstrap"
IN_ROUNDS = "differences inside rounds"
WELCH = "Welch's t over runs"
TWO_LEVELS = "paired bootstrap over prompts with {runs}"


@dataclass(frozen=True)
class Quantity:
    """A mean, or a ratio of means, of one technique.

    Attributes:
        prompts: how many prompts it rests on.
        value: over all of them.
        spread: over resampled prompts, shape (resamples,), the same draws for every quantity; None with few prompts.
        runs: one value a run where processes make it vary, else None; in rounds the k-th is of round k.
        batches: how many batches were resampled in place of the prompts, or None.
        scatter: the relative variance of one run's value by the scatter of requests inside it; 0 where unknown.
        in_rounds: whether its runs were made in rounds with those of the other techniques in rounds.
        noise: how much its runs vary inside rounds; None where the study can't tell.
    """

    prompts: int
    value: float
    spread: np.ndarray | None
    runs: tuple[float, ...] | None = None
    batches: int | None = None
    scatter: float = 0.0
    in_rounds: bool = False
    noise: RunNoise | None = None


@dataclass(frozen=True)
class Component:
    """A component of the variance of a log ratio, with its degrees of freedom."""

    variance: float
    freedom: float


@dataclass(frozen=True)
class Ratio:
    """A ratio of quantities; bounds, p-value of "the ratio is 1" and their method are None where they are not known.

    ``components`` are those of its logarithm's variance by their source, ``prompts`` and ``runs``; empty without a test
    over runs.
    """

    prompts: int
    value: float
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    interval: str | None = None
    note: str | None = None
    verdict: str | None = None  # set where there is no test
    components: dict[str, Component] = field(default_factory=dict)


def ratio(numerators: list[Quantity], denominators: list[Quantity]) -> Ratio | None:
    """Return the product of some quantities over that of others, or None where it has no finite value."""
    quantities = [*numerators, *denominators]
    prompts = quantities[0].prompts
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        above, below = (np.prod([one.value for one in side]) for side in (numerators, denominators))
        value = above / np.float64(below)
        if not np.isfinite(value):
            return None
        if any(quantity.spread is None for quantity in quantities):
            return _few(numerators, denominators, float(value))
        spread = np.ones_like(quantities[0].spread)
        for numerator in numerators:
            spread = spread * numerator.spread
        for denominator in denominators:
            spread = spread / denominator.spread
    runs = [quantity.runs for quantity in quantities]
    if all(values is None for values in runs):
        return _over_prompts(prompts, float(value), spread)
    if not (np.isfinite(spread) & (spread > 0)).all():
        return Ratio(prompts, float(value), note=NO_INTERVAL)
    if any(values is None or len(values) < 2 for values in runs):
        low, high = resampling.percentile_interval(spread)
        return Ratio(prompts, float(value), low, high, None, PROMPTS_ONLY, ONE_RUN_NOTE, ONE_RUN)
    return _over_runs(numerators, denominators, float(value), _prompt_component(np.log(spread), quantities))


def _over_runs(
    numerators: list[Quantity],
    denominators: list[Quantity],
    value: float,
    over_prompts: Component | None,
    note: str | None = None,
) -> Ratio:
    """Build a ratio from what prompts and runs make its logarithm vary."""
    over_runs, method = run_component(numerators, denominators)
    known = {"prompts": over_prompts, "runs": over_runs}
    components = {source: one for source, one in known.items() if one is not None}
    error, freedom = combined(list(components.values()))
    reach = error * stats.t.ppf((1 + resampling.LEVEL) / 2, freedom) if error else 0.0
    low, high = np.exp(np.log(value) + np.array([-reach, reach]))
    interval = method if over_prompts is None else TWO_LEVELS.format(runs=method)
    p_value = _p_value(value, error, freedom)
    prompts = numerators[0].prompts
    return Ratio(prompts, value, float(low), float(high), p_value, interval, note, components=components)


def _p_value(value: float, error: float, freedom: float) -> float:
    """Return the two-sided p-value of "the ratio is 1"; 0 or 1 where there is no variation at all."""
    if error == 0:
        return 1.0 if abs(np.log(value)) < 1e-9 else 0.0
    return float(2 * stats.t.sf(abs(np.log(value)) / error, freedom))


def combined(components: list[Component]) -> tuple[float, float]:
    """Return the standard error of independent components together, and Satterthwaite's degrees of freedom (1 if 0)."""
    total = sum(one.variance for one in components)
    if total == 0:
        return 0.0, 1.0
    freedom = total**2 / sum(one.variance**2 / one.freedom for one in components if one.variance)
    return float(np.sqrt(total)), float(freedom)


def run_component(numerators: list[Quantity], denominators: list[Quantity]) -> tuple[Component, str]:
    """Return the run component of the log ratio's variance, and its method.

    Each quantity has two runs at least. Runs in rounds share their number of rounds.
    """
    quantities = [*numerators, *denominators]
    if not all(quantity.in_rounds for quantity in quantities):
        own = [Component(float(np.var(np.log(q.runs), ddof=1)) / len(q.runs), len(q.runs) - 1) for q in quantities]
        error, freedom = combined(own)
        return Component(error**2, freedom), WELCH
    rounds = len(quantities[0].runs)
    if all(quantity.noise for quantity in quantities):
        own = [Component(quantity.noise.variance / rounds, quantity.noise.freedom) for quantity in quantities]
        error, freedom = combined(own)
        return Component(error**2, min(freedom, quantities[0].noise.most)), IN_ROUNDS
    signs = [1] * len(numerators) + [-1] * len(denominators)
    differences = sum(sign * np.log(quantity.runs) for sign, quantity in zip(signs, quantities, strict=True))
    return Component(float(np.var(differences, ddof=1)) / rounds, rounds - 1), IN_ROUNDS


def _prompt_component(logs: np.ndarray, quantities: list[Quantity]) -> Component:
    """Return the prompt component: the bootstrap variance less the scatter that is in the run component too."""
    scatter = sum(quantity.scatter / len(quantity.runs) for quantity in quantities)
    units = min(quantity.batches or quantity.prompts for quantity in quantities)
    return Component(max(0.0, resampling.variance(logs, units) - scatter), units - 1)


def _few(numerators: list[Quantity], denominators: list[Quantity], value: float) -> Ratio:
    """Build a ratio over too few prompts to resample, or over enough prompts in too few batches.

    The latter is tested over runs alone: large batches are few by nature, and these very prompts are a fair workload.
    """
    quantities = [*numerators, *denominators]
    note = few_note(quantities[0])
    if quantities[0].batches is None or value <= 0 or any(len(quantity.runs or ()) < 2 for quantity in quantities):
        return Ratio(quantities[0].prompts, value, note=note, verdict=FEW_PROMPTS)
    note = f"{note} over prompts: it speaks of these prompts in other processes"
    return _over_runs(numerators, denominators, value, None, note)


def _over_prompts(prompts: int, value: float, spread: np.ndarray) -> Ratio:
    """Build a ratio that no process makes vary."""
    if not np.isfinite(spread).all():
        return Ratio(prompts, value, note=NO_INTERVAL)
    low, high = resampling.percentile_interval(spread)
    return Ratio(prompts, value, low, high, resampling.two_sided_p(spread - 1, prompts, 1e-11), PROMPTS_ONLY)


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
    if found.components:
        built["log_variance"] = {source: asdict(one) for source, one in found.components.items()}
    return built if found.verdict is None else built | {"verdict": found.verdict}
