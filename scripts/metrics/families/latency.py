"""Times of single requests: latency and its percentiles, TTFT, TPOT, inter-token latency, decode time.

For means, times of several runs, and of several draws, are averaged per prompt first, so that intervals are over
prompts; percentiles are those of all requests of all runs. ``runs`` has the figure of each run, for the spread between
runs. Both modes are computed alike: natural, where the model stops by itself, and fixed, where every request has the
same number of new tokens, so that times compare by speed alone.
"""

from collections.abc import Callable

import numpy as np

from scripts.metrics import figures, percentiles, spread
from scripts.metrics.entry import FASTER, TIMING, Change, Entry, Place, Term
from scripts.metrics.figures import Figure
from scripts.metrics.recorded import Recorded
from scripts.metrics.runs import Run, Sample

ORDER = 10
PERCENTILES = {"p50": 0.50, "p90": 0.90, "p99": 0.99}
TAIL = "latency_p99_s"
SPREAD_KEYS = ("latency_s", "ttft_s", "tpot_s")
LATENCY = Term(
    "Latency",
    "From the text prompt to the last token of one request, tokenisation included, with the device synchronised at "
    "both ends. With several runs, each prompt's times are averaged over them first.",
)
SLOWEST = Term(
    "P99, slowest",
    "P99: nearest rank among the requests of all runs, with bounds from order statistics on the number of prompts, "
    "since runs repeat the same text, and from the spread between runs. Its upper bound holds with 95% confidence only "
    "from 299 prompts on; below that the slowest request stands in its place, under its own name. A runaway is one "
    "that only the length limit ended.",
)
FIRST_AND_REST = Term(
    "TTFT, TPOT",
    "Time until the first token is out; time per output token after it: (latency \u2212 TTFT) / (n \u2212 1).",
)
FIGURES = (
    Entry(
        "latency_s", "s", "Latency", LATENCY, "low",
        study="latency", csv="latency_mean_s", bounds=True, spread=True, table=Place("Latency", main=True),
        criterion="latency",
        change=Change(
            "latency_change_percent", TIMING, "latency_s", family="speed", words=FASTER,
            csv=True, verdict="latency_verdict", label="Speed-up",
        ),
    ),
    Entry("latency_p99_s", "s", "P99 latency", SLOWEST, "low",
          study="p99_latency", csv="latency_p99_s", table=Place("Latency", main=True)),
    Entry("latency_p50_s", "s", "Median latency", LATENCY, "low", csv="latency_p50_s", table=Place("Latency")),
    Entry("latency_p90_s", "s", "P90 latency", LATENCY, "low", csv="latency_p90_s"),
    Entry(
        "ttft_s", "s", "TTFT", FIRST_AND_REST, "low", csv="ttft_s", table=Place("Latency"),
        change=Change("ttft_change_percent", TIMING, "ttft_s", "ttft_s known", family="ttft", after="speed",
                      words=FASTER),
    ),
    Entry(
        "tpot_s", "s", "TPOT", FIRST_AND_REST, "low", csv="tpot_s", table=Place("Latency"),
        change=Change("tpot_change_percent", TIMING, "tpot_s", "tpot_s known", family="tpot", after="speed",
                      words=FASTER),
    ),
    Entry("decode_s", "s", "Decode time", "From the first token to the last one of a request.", "low"),
    Entry("inter_token_latency_s", "s", "Inter-token latency", "Mean time between two tokens of a request, over all "
          "such gaps of all runs.", "low"),
    Entry("inter_token_latency_p99_s", "s", "P99 inter-token latency", "P99 of the times between two tokens of a "
          "request, over all such gaps of all runs.", "low"),
)  # fmt: skip


def compute(recorded: Recorded) -> dict[str, Figure]:
    """Return the latency figures of the natural mode."""
    return mode_figures(recorded.runs, recorded.batch_size)


def per_sample(runs: list[Run], fixed: bool = False) -> dict[str, np.ndarray]:
    """Return latency, TTFT, decode time and TPOT per run and prompt, each of shape (runs, prompts), in seconds.

    Of a prompt with several draws each is the mean over them.
    """
    return {key: over_draws(times) for key, times in per_request(runs, fixed).items()}


def over_draws(values: np.ndarray) -> np.ndarray:
    """Average over draws: (runs, draws, prompts) to (runs, prompts); NaN only where no draw has a value."""
    return values[:, 0] if values.shape[1] == 1 else np.stack([figures.averaged(run) for run in values])


def per_request(runs: list[Run], fixed: bool = False) -> dict[str, np.ndarray]:
    """Return the same per request, each of shape (runs, draws, prompts).

    TTFT is NaN where nothing was generated, TPOT = (latency - TTFT) / (n - 1) where fewer than two tokens were.
    """
    passes = [run.passes(fixed) for run in runs]

    def each(value: Callable[[Sample], float]) -> np.ndarray:
        return np.array([[[value(sample) for sample in samples] for samples in run] for run in passes], dtype=float)

    latency, tokens = each(lambda sample: sample.latency_s), each(lambda sample: sample.new_tokens)
    ttft = each(lambda sample: np.nan if sample.ttft_s is None else sample.ttft_s)
    decode = latency - ttft
    tpot = np.full(latency.shape, np.nan)
    np.divide(decode, tokens - 1, out=tpot, where=tokens > 1)
    return {"latency_s": latency, "ttft_s": ttft, "decode_s": decode, "tpot_s": tpot}


def averages(times: np.ndarray) -> list[float | None]:
    """Return :func:`scripts.metrics.figures.averaged` for a file, None where there is no value."""
    return [None if np.isnan(value) else float(value) for value in figures.averaged(times)]


def run_means(times: np.ndarray) -> list[float | None]:
    """Return the mean of each run, (runs, prompts) to (runs,); None for a run without a value."""
    return [None if np.isnan(row).all() else float(np.nanmean(row)) for row in times]


def mode_figures(runs: list[Run], batch_size: int, fixed: bool = False) -> dict[str, Figure]:
    """Return the latency figures of a mode, under the natural mode's keys."""
    times, requests = per_sample(runs, fixed), per_request(runs, fixed)["latency_s"]
    result = figures.mean_figures({key: (figures.averaged(values), "s") for key, values in times.items()})
    for key, values in times.items():
        result[key]["runs"] = run_means(values)
        if key in SPREAD_KEYS:
            result[key] |= spread.spreads(result[key]["runs"], values, batch_size)
    for name, q in PERCENTILES.items():
        result[f"latency_{name}_s"] = percentiles.percentile_figure(requests, q, "s")
    if not fixed:
        result[TAIL] = percentiles.tail_figure(runs, requests, "s", PERCENTILES["p99"])
    return result | _gap_figures(runs, fixed)


def _gap_figures(runs: list[Run], fixed: bool) -> dict[str, Figure]:
    """Return the mean and the P99 of the gaps between tokens, pooled over all prompts and runs."""
    # (runs, prompts) of (gaps,)
    of_runs = [
        [
            np.concatenate([np.diff(sample.token_times_s or []) for sample in answers])
            for answers in zip(*run.passes(fixed), strict=True)
        ]
        for run in runs
    ]
    per_prompt = [np.concatenate(prompt) for prompt in zip(*of_runs, strict=True)]
    gaps = np.sort(np.concatenate(per_prompt))
    if gaps.size == 0:
        untold = any(sample.token_times_s is None for run in runs for sample in run.mode(fixed))
        reason = "the server's chunks do not tell when each token was out" if untold else "no request has two tokens"
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
