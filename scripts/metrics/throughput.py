"""Work done per second of the timed loop: samples and new tokens, at the batch size that the technique states."""

import numpy as np

from scripts.metrics import figures, latency
from scripts.metrics.figures import Figure
from scripts.metrics.runs import Run


def batch_size(run: Run) -> int:
    """Return how many requests the run served at once."""
    return int((run.info.get("settings") or {}).get("batch_size") or 1)


def busy_shares(latencies: np.ndarray, size: int) -> np.ndarray:
    """Split the time that each batch took evenly among its requests.

    Requests are batched in evaluation order and a batch is done when its last request is, so the shares of a batch add
    up to its longest latency. With a batch of one the share is the latency.

    Args:
        latencies: shape (prompts,), seconds.
        size: the batch size.

    Returns:
        Shape (prompts,), seconds.
    """
    shares = np.empty_like(latencies)
    for start in range(0, len(latencies), size):
        batch = latencies[start : start + size]
        shares[start : start + size] = batch.max() / len(batch)
    return shares


def per_sample(runs: list[Run]) -> dict[str, np.ndarray]:
    """Return busy seconds and new tokens per run and prompt, each of shape (runs, prompts)."""
    latencies = latency.per_sample(runs)["latency_s"]
    busy = np.array([busy_shares(row, batch_size(run)) for row, run in zip(latencies, runs, strict=True)])
    tokens = np.array([[sample.new_tokens for sample in run.samples] for run in runs], dtype=float)
    return {"busy_s": busy, "new_tokens": tokens}


def throughput_figures(runs: list[Run]) -> dict[str, Figure]:
    """Return samples/s and new tokens/s; new tokens are counted as token ids, trimmed ones are not in them."""
    work = per_sample(runs)
    busy, tokens = work["busy_s"].mean(axis=0), work["new_tokens"].mean(axis=0)
    result = figures.ratio_figures(
        {
            "throughput_samples_per_s": (np.ones_like(busy), busy, "samples/s"),
            "throughput_tokens_per_s": (tokens, busy, "tokens/s"),
        }
    )
    totals = work["busy_s"].sum(axis=1)
    result["throughput_samples_per_s"]["runs"] = [float(busy.size / total) for total in totals]
    result["throughput_tokens_per_s"]["runs"] = [float(v) for v in work["new_tokens"].sum(axis=1) / totals]
    for figure in result.values():
        figure["batch_size"] = batch_size(runs[0])
    return result
