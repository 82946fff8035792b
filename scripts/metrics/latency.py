"""Times of single requests: latency and its percentiles, TTFT, TPOT, inter-token latency, decode time.

For means, times of several runs are averaged per prompt first, so that an interval speaks of prompts; percentiles are
those of all requests of all runs. ``runs`` holds the figure of each run beside it, so that the spread between runs can
be seen. Both modes are measured alike: natural, where the model stops by itself, and fixed, where every request has the
same number of new tokens, so that times compare by speed alone.
"""

import numpy as np

from scripts.metrics import figures, percentiles, spread
from scripts.metrics.figures import Figure
from scripts.metrics.runs import Run

PERCENTILES = {"p50": 0.50, "p90": 0.90, "p99": 0.99}
TAIL = "latency_p99_s"
FIXED_OFF = "the fixed mode was off"
FIXED_KEYS = ("fixed_latency_s", "fixed_latency_p50_s", "fixed_ttft_s", "fixed_tpot_s", "fixed_inter_token_latency_s")
SPREAD_KEYS = ("latency_s", "ttft_s", "tpot_s")


def per_sample(runs: list[Run], fixed: bool = False) -> dict[str, np.ndarray]:
    """Return latency, TTFT, decode time and TPOT per run and prompt, each of shape (runs, prompts), in seconds.

    TTFT is NaN where nothing was generated, TPOT = (latency - TTFT) / (n - 1) where fewer than two tokens were.
    """
    shape = (len(runs), len(runs[0].mode(fixed)))
    latency, ttft, tokens = np.empty(shape), np.empty(shape), np.empty(shape)
    for row, run in enumerate(runs):
        samples = run.mode(fixed)
        latency[row] = [sample.latency_s for sample in samples]
        ttft[row] = [np.nan if sample.ttft_s is None else sample.ttft_s for sample in samples]
        tokens[row] = [sample.new_tokens for sample in samples]
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
    """Return every latency figure of the natural mode; keys carry the unit."""
    return _mode_figures(runs, fixed=False)


def fixed_latency_figures(runs: list[Run]) -> dict[str, Figure]:
    """Return the latency figures of the fixed mode, without values where it was off."""
    if not runs[0].fixed:
        return {key: figures.missing("s", FIXED_OFF) for key in FIXED_KEYS}
    result = {f"fixed_{key}": figure for key, figure in _mode_figures(runs, fixed=True).items()}
    return {key: result[key] for key in FIXED_KEYS}


def _mode_figures(runs: list[Run], fixed: bool) -> dict[str, Figure]:
    times, together = per_sample(runs, fixed), int((runs[0].info.get("settings") or {}).get("batch_size") or 1)
    result = figures.mean_figures({key: (averaged(values), "s") for key, values in times.items()})
    for key, values in times.items():
        result[key]["runs"] = [None if np.isnan(row).all() else float(np.nanmean(row)) for row in values]
        if key in SPREAD_KEYS:
            result[key] |= spread.spreads(result[key]["runs"], values, together)
    for name, q in PERCENTILES.items():
        result[f"latency_{name}_s"] = percentiles.percentile_figure(times["latency_s"], q, "s")
    if not fixed:
        result[TAIL] = percentiles.tail_figure(runs, times["latency_s"], "s", PERCENTILES["p99"])
    return result | _gap_figures(runs, fixed)


def _gap_figures(runs: list[Run], fixed: bool) -> dict[str, Figure]:
    """Return the mean and the P99 of the gaps between tokens, pooled over all prompts and runs."""
    # (runs, prompts) of (gaps,)
    of_runs = [[np.diff(sample.token_times_s) for sample in run.mode(fixed)] for run in runs]
    per_prompt = [np.concatenate(prompt) for prompt in zip(*of_runs, strict=True)]
    gaps = np.sort(np.concatenate(per_prompt))
    if gaps.size == 0:
        reason = "no request has two tokens"
        return {key: figures.missing("s", reason) for key in ("inter_token_latency_s", "inter_token_latency_p99_s")}
    sums = np.array([prompt.sum() for prompt in per_prompt])
    counts = np.array([prompt.size for prompt in per_prompt], dtype=float)
    pooled = [np.concatenate(run) for run in of_runs]
    result = figures.ratio_figures({"inter_token_latency_s": (sums, counts, "s")})
    result["inter_token_latency_s"] |= {
        "gaps": int(gaps.size),
        "runs": [float(run.mean()) if run.size else None for run in pooled],
    }
    result["inter_token_latency_p99_s"] = figures.figure(
        figures.nearest_rank(gaps, 0.99),
        "s",
        int(gaps.size),
        note="n counts gaps; those of one request are not independent, so there is no interval",
        runs=[figures.nearest_rank(np.sort(run), 0.99) if run.size else None for run in pooled],
    )
    return result
