"""What a metrics file keeps of each prompt, in evaluation order: timings, tokens, texts and their scores."""

from typing import Any

import numpy as np

from scripts.metrics import latency, likelihood, reference, relative, rouge, throughput
from scripts.metrics.runs import Run
from scripts.metrics.samples import COUNTS, Sample

CLOCK_DIGITS = 6  # a microsecond

Scores = dict[str, list[float | None]]


def columns(runs: list[Run], scores: Scores | None, meaning: Scores | None) -> dict[str, Any]:
    """Return the values per sample that a comparison needs, so that it reads no generations."""
    first = runs[0].samples
    per_text = (*rouge.KEYS, "copied_share")
    return {
        "id": [sample.id for sample in first],
        "batch": [sample.batch for sample in first],
        **_times(runs, fixed=False),
        "run_latency_s": [[sample.latency_s for sample in run.samples] for run in runs],
        "fixed_run_latency_s": [[sample.latency_s for sample in run.fixed] for run in runs],
        "relative": relative.relative(runs),
        **reference.columns(runs),
        "fixed": {
            "id": [sample.id for sample in runs[0].fixed],
            "batch": [sample.batch for sample in runs[0].fixed],
        }
        | _times(runs, fixed=True),
        "token_times_s": [[round(time, CLOCK_DIGITS) for time in sample.token_times_s] for sample in first],
        "new_tokens": [sample.new_tokens for sample in first],
        **_speculation(first),
        "stop_reason": [sample.stop_reason for sample in first],
        **{key: scores[key] if scores else None for key in per_text},
        "semantic_similarity": meaning["semantic_similarity"] if meaning else None,
        **likelihood.columns(runs[0]),
        "headline": [sample.headline for sample in first],
        "token_ids": [sample.token_ids for sample in first],
    }


def _speculation(samples: list[Sample]) -> dict[str, list[int]]:
    """Return what became of each prompt's drafted tokens; nothing where none are drafted."""
    if all(sample.drafted_tokens is None for sample in samples):
        return {}
    return {key: [getattr(sample, key) or 0 for sample in samples] for key in COUNTS}


def _times(runs: list[Run], fixed: bool) -> dict[str, list[float | None]]:
    """Return each prompt's times, averaged over the runs."""
    timing = latency.per_sample(runs, fixed) | {"busy_s": throughput.per_sample(runs, fixed)["busy_s"]}
    return {key: _numbers(latency.averaged(values)) for key, values in timing.items()}


def _numbers(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]
