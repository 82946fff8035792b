"""Per-prompt columns of a metrics file, in evaluation order: timings, tokens, texts and scores."""

from typing import Any

from scripts.metrics import reference, registry, relative
from scripts.metrics.families import latency, throughput
from scripts.metrics.recorded import Recorded
from scripts.metrics.runs import Run

CLOCK_DIGITS = 6  # a microsecond
WRITTEN = ("headline", "answer", "token_ids", "margins", "runners_up", "margin_shifts")


def columns(recorded: Recorded) -> dict[str, Any]:
    """Return the values per sample that a comparison needs, so that it reads no generations."""
    runs, first = recorded.runs, recorded.first.samples
    found: dict[str, Any] = {}
    for family in registry.families():
        found |= family.by_prompt(recorded) if hasattr(family, "by_prompt") else {}
    return (
        found
        | {
            "id": [sample.id for sample in first],
            "batch": [sample.batch for sample in first],
            **_times(runs, fixed=False),
            "run_latency_s": latency.per_sample(runs)["latency_s"].tolist(),
            "fixed_run_latency_s": [[sample.latency_s for sample in run.fixed] for run in runs],
            "relative": relative.relative(runs, recorded.batch_size),
            **reference.columns(runs),
            "fixed": {
                "id": [sample.id for sample in runs[0].fixed],
                "batch": [sample.batch for sample in runs[0].fixed],
            }
            | _times(runs, fixed=True),
            "token_times_s": [
                None if sample.token_times_s is None else [round(time, CLOCK_DIGITS) for time in sample.token_times_s]
                for sample in first
            ],
            "new_tokens": _new_tokens(recorded.first),
            "stop_reason": [sample.stop_reason for sample in first],
            "headline": [sample.headline for sample in first],
            "answer": [(sample.answer or "").strip() for sample in first],
            "removed": [list(sample.removed) for sample in first],
            "fault": [sample.fault for sample in first],
            "token_ids": [sample.token_ids for sample in first],
        }
        | _draws(recorded.first)
    )


def _new_tokens(run: Run) -> list[float]:
    """Return how many tokens each prompt's answer has; of several draws the mean."""
    if run.draws == 1:
        return [sample.new_tokens for sample in run.samples]
    return [sum(sample.new_tokens for sample in answers) / run.draws for answers in zip(*run.passes(), strict=True)]


def _draws(run: Run) -> dict[str, Any]:
    """Return what was written in each further draw, by prompt; nothing where there is one draw."""
    further = [{key: [getattr(sample, key) for sample in draw] for key in WRITTEN} for draw in run.passes()[1:]]
    return {"further_draws": further} if further else {}


def _times(runs: list[Run], fixed: bool) -> dict[str, list[float | None]]:
    """Return each prompt's times, averaged over the runs."""
    timing = latency.per_sample(runs, fixed) | {"busy_s": throughput.per_sample(runs, fixed)["busy_s"]}
    return {key: latency.averages(values) for key, values in timing.items()}
