"""The metrics file of one technique: every figure, the raw values per sample, and what the runs say of themselves."""

from typing import Any

import numpy as np

from scripts.foundation.errors import StudyError
from scripts.metrics import figures, latency, machines, memory, output, rouge, speculation, throughput
from scripts.metrics.runs import Run

CONTEXT = ("settings", "models", "generation", "evidence", "machine", "versions", "threads", "processes")
COSTS = ("load_time_s", "warmup_time_s", "compile_time_s", "generation_time_s", "started_at", "finished_at")


def technique_metrics(technique: str, dataset: list[dict[str, Any]], runs: list[Run]) -> dict[str, Any]:
    """Score a technique.

    Timing is averaged per prompt over the runs, memory over the runs; quality comes from the first run.

    Args:
        technique: its name.
        dataset: the rows of the evaluation set.
        runs: its runs, at least one.

    Returns:
        The content of ``results/metrics/<technique>.json``.

    Raises:
        StudyError: the runs do not belong together.
    """
    head = {"technique": technique, "sample_count": len(dataset), "run_count": len(runs)}
    failed = [run for run in runs if not run.ok]
    if failed:
        return head | _without_figures(failed[0], runs)
    _check_together(runs)
    first = runs[0]
    random_target = _is_random(first, "target")
    scores = None if random_target else _rouge(first, dataset)
    quality = rouge.rouge_figures(scores) if scores else _unmeasured_rouge()
    return head | {
        "status": "ok",
        "reason": None,
        "quality_measured": not random_target,
        "figures": latency.latency_figures(runs)
        | throughput.throughput_figures(runs)
        | memory.memory_figures(runs)
        | quality
        | output.output_figures(first, not random_target)
        | speculation.speculation_figures(first, random_target or _is_random(first, "draft")),
        "samples": _samples(runs, scores),
        "tokens_differ_between_runs": _differing(runs),
        "memory_method": first.info["memory"].get("method"),
        "memory_devices": memory.devices(runs),
        "batch_size": throughput.batch_size(first),
        "runs": [_costs(run) for run in runs],
        **{key: first.info.get(key) for key in CONTEXT},
    }


def figure_units() -> dict[str, str]:
    """Return every figure that a metrics file has, with its unit."""
    times = ("latency_s", "ttft_s", "decode_s", "tpot_s", *(f"latency_{name}_s" for name in latency.PERCENTILES))
    gaps = ("inter_token_latency_s", "inter_token_latency_p99_s")
    shares = ("empty_share", *(f"stop_{reason}_share" for reason in output.STOP_REASONS))
    return (
        dict.fromkeys((*times, *gaps), "s")
        | {"throughput_samples_per_s": "samples/s", "throughput_tokens_per_s": "tokens/s"}
        | dict.fromkeys(memory.SUMS, "B")
        | dict.fromkeys(rouge.KEYS, "1")
        | {"new_tokens": "tokens", "headline_words": "words"}
        | dict.fromkeys(shares, "1")
        | speculation.UNITS
    )


def _without_figures(failed: Run, runs: list[Run]) -> dict[str, Any]:
    """Build the metrics of a technique that did not run to the end: its status, its reason, and no number at all."""
    status, reason = failed.info["status"], failed.info.get("reason") or "no reason was recorded"
    if any(run.info["status"] != status or run.info.get("reason") != failed.info.get("reason") for run in runs):
        reason = f"run {failed.info.get('run', runs.index(failed) + 1)} of {len(runs)}: {reason}"
    return {
        "status": status,
        "reason": reason,
        "quality_measured": False,
        "figures": {key: figures.missing(unit, status.replace("_", " ")) for key, unit in figure_units().items()},
        "samples": None,
        "tokens_differ_between_runs": None,
        "memory_method": None,
        "memory_devices": [],
        "batch_size": throughput.batch_size(failed),
        "runs": [_costs(run) for run in runs],
        **{key: failed.info.get(key) for key in CONTEXT},
    }


def _check_together(runs: list[Run]) -> None:
    """Refuse runs that differ in what they ran or in what they ran on."""
    first = runs[0]
    for run in runs[1:]:
        for key in ("settings", "generation"):
            if run.info.get(key) != first.info.get(key):
                raise StudyError(f"{run.path} and {first.path} differ in '{key}'; run the technique again.")
        difference = machines.difference(first.info, run.info)
        if difference:
            raise StudyError(f"{run.path} and {first.path} differ in {difference}; run the technique again.")


def _is_random(run: Run, role: str) -> bool:
    return (run.info["models"].get(role) or {}).get("source") == "random"


def _rouge(run: Run, dataset: list[dict[str, Any]]) -> dict[str, list[float]]:
    return rouge.rouge_scores([sample.headline for sample in run.samples], [row["headline"] for row in dataset])


def _unmeasured_rouge() -> dict[str, figures.Figure]:
    return {key: figures.missing("1", output.RANDOM) for key in rouge.KEYS}


def _samples(runs: list[Run], scores: dict[str, list[float]] | None) -> dict[str, list[Any] | None]:
    """Return the values per sample that a comparison needs, so that it reads no generations."""
    first = runs[0].samples
    timing = latency.per_sample(runs) | {"busy_s": throughput.per_sample(runs)["busy_s"]}
    return {
        "id": [sample.id for sample in first],
        **{key: _numbers(latency.averaged(values)) for key, values in timing.items()},
        "new_tokens": [sample.new_tokens for sample in first],
        "stop_reason": [sample.stop_reason for sample in first],
        **{key: scores[key] if scores else None for key in rouge.KEYS},
        "headline": [sample.headline for sample in first],
        "token_ids": [sample.token_ids for sample in first],
    }


def _numbers(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def _differing(runs: list[Run]) -> int:
    """Count the prompts whose tokens are not the same in every run."""
    columns = zip(*(run.samples for run in runs), strict=True)
    return sum(any(sample.token_ids != prompt[0].token_ids for sample in prompt) for prompt in columns)


def _costs(run: Run) -> dict[str, Any]:
    """Return what a run cost beside its requests, and when it was."""
    return {"run": run.info.get("run"), "status": run.info["status"]} | {key: run.info.get(key) for key in COSTS}
