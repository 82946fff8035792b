"""Work done per second of the timed loop: samples and new tokens, at the batch size that the technique states.

A batch takes until its last token is out; each of its requests is charged an even share of that, so that the shares of
all requests add up to the time that the loop was busy.
"""

import numpy as np

from scripts.metrics import figures, resampling, spread
from scripts.metrics.figures import Figure
from scripts.metrics.latency import FIXED_OFF
from scripts.metrics.runs import Run

UNITS = {"throughput_samples_per_s": "samples/s", "throughput_tokens_per_s": "tokens/s"}


def batch_size(run: Run) -> int:
    """Return how many requests the run served at once."""
    return int((run.info.get("settings") or {}).get("batch_size") or 1)


def per_sample(runs: list[Run], fixed: bool = False) -> dict[str, np.ndarray]:
    """Return busy seconds and new tokens per run and prompt, each of shape (runs, prompts)."""
    modes = [run.mode(fixed) for run in runs]
    return {
        "busy_s": np.array([[s.batch_time_s / s.batch_requests for s in mode] for mode in modes], dtype=float),
        "new_tokens": np.array([[sample.new_tokens for sample in mode] for mode in modes], dtype=float),
    }


def throughput_figures(runs: list[Run]) -> dict[str, Figure]:
    """Return samples/s and new tokens/s; new tokens are counted as token ids, trimmed ones are not in them."""
    return _mode_figures(runs, fixed=False)


def fixed_throughput_figures(runs: list[Run]) -> dict[str, Figure]:
    """Return the throughput of the fixed mode, without values where it was off."""
    if not runs[0].fixed:
        return {f"fixed_{key}": figures.missing(unit, FIXED_OFF) for key, unit in UNITS.items()}
    return {f"fixed_{key}": figure for key, figure in _mode_figures(runs, fixed=True).items()}


def _mode_figures(runs: list[Run], fixed: bool) -> dict[str, Figure]:
    work = per_sample(runs, fixed)
    busy, tokens = work["busy_s"], work["new_tokens"]  # (runs, prompts)
    result = _ratios(runs, busy.mean(axis=0), tokens.mean(axis=0), fixed)
    totals = busy.sum(axis=1)
    amounts = {"throughput_samples_per_s": np.ones_like(busy), "throughput_tokens_per_s": tokens}
    for key, figure in result.items():
        figure["runs"] = [float(done / total) for done, total in zip(amounts[key].sum(axis=1), totals, strict=True)]
        together = batch_size(runs[0])
        figure |= spread.spreads(figure["runs"], amounts[key] / busy, together) | {"batch_size": together}
    return result


def _ratios(runs: list[Run], busy: np.ndarray, tokens: np.ndarray, fixed: bool) -> dict[str, Figure]:
    """Return both ratios with intervals; the requests of a batch share its time, so whole batches are resampled."""
    ones, by_batch = np.ones_like(busy), False
    batches = [[sample.batch for sample in run.mode(fixed)] for run in runs]
    if len(set(batches[0])) < busy.size and all(of_run == batches[0] for of_run in batches):
        _, member_of = np.unique(batches[0], return_inverse=True)
        busy, tokens, ones = (np.bincount(member_of, weights=column) for column in (busy, tokens, ones))
        by_batch = True
    result = figures.ratio_figures(
        {
            "throughput_samples_per_s": (ones, busy, UNITS["throughput_samples_per_s"]),
            "throughput_tokens_per_s": (tokens, busy, UNITS["throughput_tokens_per_s"]),
        }
    )
    if by_batch:
        for figure in result.values():
            few = busy.size < resampling.FEWEST
            figure["note"] = (
                f"no interval: {busy.size} of the {resampling.FEWEST} batches that one needs"
                if few
                else "n counts batches, which share their time"
            )
    return result
