"""Percentiles of the requests of all runs, and the slowest request where there are too few prompts for a P99."""

import math
from collections.abc import Sequence

import numpy as np

from scripts.metrics import figures, resampling
from scripts.metrics.figures import Figure
from scripts.metrics.runs import Run
from scripts.metrics.samples import Sample

PERCENTILE, SLOWEST = "percentile", "slowest"
RUNAWAY = "length"


def min_prompts_for_bound(q: float) -> int:
    """Return the smallest n whose maximum bounds percentile ``q`` from above with 95% confidence (299 for P99)."""
    return math.ceil(math.log(1 - resampling.LEVEL) / math.log(q))


def percentile_figure(times: np.ndarray, q: float, unit: str) -> Figure:
    """Build the nearest-rank percentile of all requests of all runs, with an interval that needs no distribution.

    Requests of one prompt are not independent: greedy decoding writes the same text in each run. So the interval's
    ranks are those of as many observations as there are prompts, which is the effective number when runs of a prompt
    agree entirely: a binomial(prompts, q) count leaves 2.5% on either side of them (David and Nagaraja, Order
    Statistics, section 7.1), and as shares they are read from the pooled requests (Woodruff, Journal of the American
    Statistical Association 47, 1952; Korn and Graubard, Survey Methodology 24, 1998, for the effective number). Where
    no such upper rank exists but the maximum still bounds the percentile with 95% confidence, the maximum is the upper
    bound, and the note says that it is one-sided.

    Processes are the other level of variation. The spread of the runs' own percentiles, on a log scale and times
    Student's t, is added to each bound's distance by the root of the sum of squares (Zou and Donner, Statistics in
    Medicine 27, 2008).

    Args:
        times: positive times of shape (runs, draws, prompts).
        q: the share of requests that take no longer.
        unit: of the times.
    """
    prompts = times.shape[-1]
    pooled = np.sort(times, axis=None)
    value = figures.nearest_rank(pooled, q)
    runs = [figures.nearest_rank(np.sort(run, axis=None), q) for run in times]
    tail = (1 - resampling.LEVEL) / 2
    # X_(r) < percentile has probability P(count >= r); X_(r) >= percentile has probability P(count <= r - 1).
    from scipy import stats  # late: it takes a second

    low_rank = int(stats.binom.ppf(tail, prompts, q))
    high_rank = int(stats.binom.ppf(1 - tail, prompts, q)) + 1
    low = figures.nearest_rank(pooled, low_rank / prompts) if low_rank >= 1 else None
    note = None
    if high_rank <= prompts:
        high = figures.nearest_rank(pooled, high_rank / prompts)
    elif prompts >= min_prompts_for_bound(q):
        high, note = float(pooled[-1]), "the upper bound is the sample maximum (one-sided, 95%)"
    else:
        high = None
        fewest = min_prompts_for_bound(q)
        note = f"no upper bound: n = {prompts}, and P{q * 100:g} needs {fewest} for one with 95% confidence"
    kept = {"runs": runs, "statistic": PERCENTILE, "requests": int(times.size)}
    if low is None and high is None:
        return figures.figure(value, unit, prompts, note=note, **kept)
    between = _between_runs(runs)
    low = None if low is None else value * math.exp(-math.hypot(math.log(value / low), between))
    high = None if high is None else value * math.exp(math.hypot(math.log(high / value), between))
    how = "order statistics over prompts" + (", t over runs" if len(runs) > 1 else "")
    return figures.figure(value, unit, prompts, (low, high), interval=how, note=note, **kept)


def slowest_figure(times: np.ndarray, unit: str, q: float = 0.99) -> Figure:
    """Build the slowest of all requests, which stands for percentile ``q`` where there are too few prompts for it.

    The slowest of n independent requests lies above percentile q with a confidence of 1 - q^n; those of one prompt
    count as one, as in :func:`percentile_figure`. It is an observation, so it has no interval.
    """
    prompts, requests = times.shape[-1], int(times.size)
    confidence = 100 * (1 - q**prompts)
    note = (
        f"the slowest of {requests:,} requests, not P{q * 100:g}, which needs {min_prompts_for_bound(q)} prompts: "
        f"that of {prompts} prompts lies above P{q * 100:g} with {confidence:.0f}% confidence"
    )
    runs = [float(run.max()) for run in times]
    return figures.figure(float(times.max()), unit, prompts, note=note, runs=runs, statistic=SLOWEST, requests=requests)


def tail_figure(runs: list[Run], times: np.ndarray, unit: str, q: float = 0.99) -> Figure:
    """Build P99 from as many prompts on as its upper bound needs, and the slowest request below that.

    Beside the number stand ``requests`` (prompts x draws x runs), ``runaways`` (those that the length limit ended),
    ``slowest`` (prompt from 0, run, tokens and whether it is a runaway) and ``slowest_ended_s``: the slowest request
    that ended by itself, None where there is none.

    Args:
        runs: the runs of a technique.
        times: latencies of their natural mode, shape (runs, draws, prompts).
        unit: of the times.
        q: which percentile.
    """
    enough = times.shape[-1] >= min_prompts_for_bound(q)
    built = percentile_figure(times, q, unit) if enough else slowest_figure(times, unit, q)
    passes = [run.passes() for run in runs]
    ran_away = np.array([[[each.stop_reason == RUNAWAY for each in samples] for samples in run] for run in passes])
    row, draw, prompt = np.unravel_index(int(times.argmax()), times.shape)
    ended = times[~ran_away]
    return built | {
        "runaways": int(ran_away.sum()),
        "slowest": _described(passes[row][draw][prompt], int(row), int(prompt)),
        "slowest_ended_s": float(ended.max()) if ended.size else None,
    }


def _described(sample: Sample, run: int, prompt: int) -> dict[str, int | str | bool]:
    """Return which request it was; ``prompt`` counts from 0 and ``run`` from 1, as everywhere in the files."""
    runaway = sample.stop_reason == RUNAWAY
    return {"prompt": prompt, "id": sample.id, "run": run + 1, "new_tokens": sample.new_tokens, "runaway": runaway}


def _between_runs(runs: Sequence[float]) -> float:
    """Return Student's t times the standard error of the logs of one value a run; 0 with one run."""
    if len(runs) < 2:
        return 0.0
    error = np.std(np.log(runs), ddof=1) / np.sqrt(len(runs))
    from scipy import stats  # late: it takes a second

    return float(stats.t.ppf((1 + resampling.LEVEL) / 2, len(runs) - 1) * error)
