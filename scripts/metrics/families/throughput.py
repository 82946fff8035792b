"""Work done per second of the timed loop: samples and new tokens, at the batch size that the technique states.

A batch takes until its last token is out; each of its requests is charged an even share of that, so that the shares of
all requests add up to the time that the loop was busy.
"""

import numpy as np

from scripts.metrics import figures, resampling, spread
from scripts.metrics.entry import MORE, TIMING, Change, Entry, Place, Term
from scripts.metrics.figures import Figure
from scripts.metrics.recorded import Recorded
from scripts.metrics.runs import Run

ORDER = 20
THROUGHPUT = Term(
    "Throughput",
    "Samples and new tokens per second at the batch size that stands under the technique's name (1 where none does). A "
    "model that rambles has more tokens per second: read it beside samples per second.",
)
SAMPLES, TOKENS = "throughput_samples_per_s", "throughput_tokens_per_s"
FIGURES = (
    Entry(
        SAMPLES, "samples/s", "Samples/s", THROUGHPUT, "high", shown="plain",
        study="throughput", csv=SAMPLES, table=Place("Throughput", main=True), criterion="throughput",
        change=Change(
            "throughput_change_percent", TIMING, None, "busy_s", family="speed", words=MORE,
            follows="latency_change_percent", csv=True, verdict="throughput_verdict", label="Samples/s ratio",
            main=False,
        ),
    ),
    Entry(
        TOKENS, "tokens/s", "Tokens/s", THROUGHPUT, "high", shown="plain", csv=TOKENS, table=Place("Throughput"),
        change=Change("tokens_per_s_change_percent", TIMING, "new_tokens", "busy_s", family="tokens_per_s",
                      after="speed", words=MORE),
    ),
)  # fmt: skip


def compute(recorded: Recorded) -> dict[str, Figure]:
    """Return samples/s and new tokens/s; new tokens are counted as token ids, trimmed ones are not in them."""
    return mode_figures(recorded.runs, recorded.batch_size)


def per_sample(runs: list[Run], fixed: bool = False) -> dict[str, np.ndarray]:
    """Return busy seconds and new tokens per run and prompt, means over its draws, each of shape (runs, prompts)."""
    passes = [run.passes(fixed) for run in runs]
    work = {
        "busy_s": [[[s.batch_time_s / s.batch_requests for s in samples] for samples in run] for run in passes],
        "new_tokens": [[[sample.new_tokens for sample in samples] for samples in run] for run in passes],
    }
    return {key: np.array(values, dtype=float).mean(axis=1) for key, values in work.items()}


def mode_figures(runs: list[Run], batch_size: int, fixed: bool = False) -> dict[str, Figure]:
    """Return the throughput of a mode, under the natural mode's keys."""
    work = per_sample(runs, fixed)
    busy, tokens = work["busy_s"], work["new_tokens"]  # (runs, prompts)
    result = _ratios(runs, busy.mean(axis=0), tokens.mean(axis=0), fixed)
    totals = busy.sum(axis=1)
    amounts = {SAMPLES: np.ones_like(busy), TOKENS: tokens}
    for key, figure in result.items():
        figure["runs"] = [float(done / total) for done, total in zip(amounts[key].sum(axis=1), totals, strict=True)]
        figure |= spread.spreads(figure["runs"], amounts[key] / busy, batch_size) | {"batch_size": batch_size}
    return result


def _ratios(runs: list[Run], busy: np.ndarray, tokens: np.ndarray, fixed: bool) -> dict[str, Figure]:
    """Return both ratios with intervals; the requests of a batch share its time, so whole batches are resampled."""
    ones, by_batch = np.ones_like(busy), False
    batches = [[sample.batch for sample in run.mode(fixed)] for run in runs]
    if len(set(batches[0])) < busy.size and all(of_run == batches[0] for of_run in batches):
        _, member_of = np.unique(batches[0], return_inverse=True)
        busy, tokens, ones = (np.bincount(member_of, weights=column) for column in (busy, tokens, ones))
        by_batch = True
    result = figures.ratio_figures({SAMPLES: (ones, busy, "samples/s"), TOKENS: (tokens, busy, "tokens/s")})
    if by_batch:
        for figure in result.values():
            few = busy.size < resampling.MIN_PROMPTS
            figure["note"] = (
                f"no interval: {busy.size} of the {resampling.MIN_PROMPTS} batches that one needs"
                if few
                else "n counts batches, which share their time"
            )
    return result
