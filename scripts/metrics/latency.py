"""Times of single requests: latency and its percentiles, TTFT, TPOT, inter-token latency, decode time.

Times of several runs are averaged per prompt first, so that an interval speaks of prompts; ``runs`` holds the figure of
each run beside it, so that the spread between runs can be seen.
"""

import numpy as np

from scripts.metrics import figures
from scripts.metrics.figures import Figure
from scripts.metrics.runs import Run

PERCENTILES = {"p50": 0.50, "p90": 0.90, "p99": 0.99}


def per_sample(runs: list[Run]) -> dict[str, np.ndarray]:
    """Return latency, TTFT, decode time and TPOT per run and prompt, each of shape (runs, prompts), in seconds.

    TTFT is NaN where nothing was generated, TPOT = (latency - TTFT) / (n - 1) where fewer than two tokens were.
    """
    shape = (len(runs), len(runs[0].samples))
    latency, ttft, tokens = np.empty(shape), np.empty(shape), np.empty(shape)
    for row, run in enumerate(runs):
        latency[row] = [sample.latency_s for sample in run.samples]
        ttft[row] = [np.nan if sample.ttft_s is None else sample.ttft_s for sample in run.samples]
        tokens[row] = [sample.new_tokens for sample in run.samples]
    decode = latency - ttft
    tpot = np.full(shape, np.nan)
    np.divide(decode, tokens - 1, out=tpot, where=tokens > 1)
    return {"latency_s": latency, "ttft_s": ttft, "decode_s": decode, "tpot_s": tpot}


def averaged(times: np.ndarray) -> np.ndarray:
    """Average over runs: (runs, prompts) to (prompts,); NaN only where no run has a value."""
    known = ~np.isnan(times)
    counts = known.sum(axis=0)
    means = np.full(times.shape[1], np.nan)
    np.divide(np.where(known, times, 0.0).sum(axis=0), counts, out=means, where=counts > 0)
    return means


def latency_figures(runs: list[Run]) -> dict[str, Figure]:
    """Return every latency figure of a technique; keys carry the unit."""
    times = per_sample(runs)
    result = figures.mean_figures({key: (averaged(values), "s") for key, values in times.items()})
    for key, values in times.items():
        result[key]["runs"] = [None if np.isnan(row).all() else float(np.nanmean(row)) for row in values]
    latencies = averaged(times["latency_s"])
    for name, q in PERCENTILES.items():
        key = f"latency_{name}_s"
        result[key] = figures.percentile_figure(latencies, q, "s")
        result[key]["runs"] = [figures.nearest_rank(np.sort(row), q) for row in times["latency_s"]]
    return result | _gap_figures(runs)


def _gap_figures(runs: list[Run]) -> dict[str, Figure]:
    """Return the mean and the P99 of the gaps between tokens, pooled over all prompts and runs."""
    per_prompt = [
        np.concatenate([np.diff(run.samples[index].token_times_s) for run in runs])
        for index in range(len(runs[0].samples))
    ]
    gaps = np.sort(np.concatenate(per_prompt))
    if gaps.size == 0:
        reason = "no request has two tokens"
        return {key: figures.missing("s", reason) for key in ("inter_token_latency_s", "inter_token_latency_p99_s")}
    sums = np.array([prompt.sum() for prompt in per_prompt])
    counts = np.array([prompt.size for prompt in per_prompt], dtype=float)
    result = figures.ratio_figures({"inter_token_latency_s": (sums, counts, "s")})
    result["inter_token_latency_s"]["gaps"] = int(gaps.size)
    result["inter_token_latency_p99_s"] = figures.figure(
        figures.nearest_rank(gaps, 0.99),
        "s",
        int(gaps.size),
        note="n counts gaps; those of one request are not independent, so there is no interval",
    )
    return result
