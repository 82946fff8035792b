"""The metrics file of one technique: every figure, the raw values per sample, and what the runs say of themselves."""

from typing import Any

from scripts.foundation.errors import StudyError
from scripts.metrics import (
    energy,
    figures,
    latency,
    likelihood,
    machines,
    memory,
    modes,
    noise,
    output,
    per_prompt,
    reference,
    speculation,
    texts,
    throughput,
    why,
)
from scripts.metrics.runs import Run, unscored_reason

# What is passed through from run.json: of the first run here, and of each run in ``runs``.
READINGS = ("provenance", "calibration", "conditions", "energy", "time")
CONTEXT = ("settings", "models", "generation", "evidence", "machine", "versions", "threads", "processes", "modes")
COSTS = ("load_time_s", "warmup_time_s", "compile_time_s", "generation_time_s", "started_at", "finished_at")
NO_SEMANTIC_MODEL = "not scored: the study names no model for it"

Scores = dict[str, list[float | None]]


def technique_metrics(
    technique: str,
    dataset: list[dict[str, Any]],
    runs: list[Run],
    text: dict[str, Any] | None,
    semantic: dict[str, Any] | None = None,
    spread_bound: float = noise.SPREAD_BOUND,
) -> dict[str, Any]:
    """Score a technique.

    Timing is averaged per prompt over the runs (percentiles are of all requests), memory over the runs; quality comes
    from the first run.

    Args:
        technique: its name.
        dataset: the rows of the evaluation set.
        runs: its runs, at least one.
        text: the first run's file of text scores, as :func:`scripts.metrics.texts.read_scores` gives it.
        semantic: the same of its semantic scores, or None where the study has none.
        spread_bound: relative standard deviation between runs above which latency is flagged.

    Returns:
        The content of ``results/metrics/<technique>.json``.

    Raises:
        StudyError: the runs do not belong together.
    """
    head = {"technique": technique, "sample_count": len(dataset), "run_count": len(runs)}
    # A run that failed is tried again, and so it is what has to be known of the technique.
    failed = sorted((run for run in runs if not run.ok), key=lambda run: run.info["status"] != "failed")
    if failed:
        return head | _without_figures(failed[0], runs)
    _check_together(runs)
    first = runs[0]
    scores, meaning = (content["scores"] if content else None for content in (text, semantic))
    result = _figures(runs, scores, meaning, has_semantic=semantic is not None)
    check = memory.check(runs)
    return head | {
        "status": "ok",
        "reason": None,
        "quality_measured": unscored_reason(first) is None,
        "unscored_reason": unscored_reason(first),
        "figures": result,
        "flags": [*noise.flags(runs, result, check, spread_bound), *filter(None, [reference.flag(runs)])],
        "samples": per_prompt.columns(runs, scores, meaning),
        "reference": reference.described(runs),
        "tokens_differ_between_runs": _differing(runs),
        "memory_method": first.info["memory"].get("method"),
        "memory_devices": memory.devices(runs),
        "memory_anatomy": memory.anatomy(runs),
        "memory_check": check,
        "smallest_gpu": memory.smallest_gpu(runs),
        "text_tokenizer": (text or {}).get("tokenizer"),
        "semantic_model": (semantic or {}).get("model"),
        "batch_size": throughput.batch_size(first),
        "runs": [_costs(run) for run in runs],
        **{key: first.info.get(key) for key in CONTEXT + READINGS},
    }


def figure_units() -> dict[str, str]:
    """Return every figure that a metrics file has, with its unit."""
    times = ("latency_s", "ttft_s", "decode_s", "tpot_s", *(f"latency_{name}_s" for name in latency.PERCENTILES))
    gaps = ("inter_token_latency_s", "inter_token_latency_p99_s")
    return (
        dict.fromkeys((*times, *gaps, *latency.FIXED_KEYS), "s")
        | throughput.UNITS
        | {f"fixed_{key}": unit for key, unit in throughput.UNITS.items()}
        | modes.UNITS
        | memory.UNITS
        | texts.UNITS
        | texts.SEMANTIC_UNITS
        | likelihood.UNITS
        | output.UNITS
        | speculation.UNITS
        | why.WHY_UNITS
        | energy.ENERGY_UNITS
    )


def _figures(
    runs: list[Run], scores: Scores | None, meaning: Scores | None, has_semantic: bool
) -> dict[str, figures.Figure]:
    first = runs[0]
    unscored = unscored_reason(first)
    return (
        latency.latency_figures(runs)
        | latency.fixed_latency_figures(runs)
        | throughput.throughput_figures(runs)
        | throughput.fixed_throughput_figures(runs)
        | modes.prefix_figures(first)
        | memory.memory_figures(runs)
        | texts.score_figures(scores, texts.UNITS, unscored or "not scored")
        | texts.score_figures(
            meaning, texts.SEMANTIC_UNITS, unscored or ("not scored" if has_semantic else NO_SEMANTIC_MODEL)
        )
        | likelihood.likelihood_figures(first)
        | output.output_figures(first, unscored)
        | speculation.speculation_figures(first)
        | why.why_figures(runs)
        | energy.energy_figures(runs)
    )


def failed_metrics(technique: str, sample_count: int, run_count: int, reason: str) -> dict[str, Any]:
    """Return the metrics of a technique that can't be scored, whatever its runs say."""
    head = {"technique": technique, "sample_count": sample_count, "run_count": run_count}
    return head | _no_figures("failed", reason) | {"batch_size": None, "runs": []} | dict.fromkeys(CONTEXT + READINGS)


def _without_figures(failed: Run, runs: list[Run]) -> dict[str, Any]:
    """Build the metrics of a technique that did not run to the end: its status, its reason, and no number at all."""
    status, reason = failed.info["status"], failed.info.get("reason") or "no reason was recorded"
    if any(run.info["status"] != status or run.info.get("reason") != failed.info.get("reason") for run in runs):
        reason = f"run {failed.info.get('run', runs.index(failed) + 1)} of {len(runs)}: {reason}"
    return _no_figures(status, reason) | {
        "batch_size": throughput.batch_size(failed),
        "runs": [_costs(run) for run in runs],
        **{key: failed.info.get(key) for key in CONTEXT + READINGS},
    }


def _no_figures(status: str, reason: str) -> dict[str, Any]:
    return {
        "status": status,
        "reason": reason,
        "quality_measured": False,
        "unscored_reason": status.replace("_", " "),
        "figures": {key: figures.missing(unit, status.replace("_", " ")) for key, unit in figure_units().items()},
        "flags": [],
        "samples": None,
        "reference": None,
        "tokens_differ_between_runs": None,
        "memory_method": None,
        "memory_devices": [],
        "memory_anatomy": [],
        "memory_check": None,
        "smallest_gpu": None,
        "text_tokenizer": None,
        "semantic_model": None,
    }


def _check_together(runs: list[Run]) -> None:
    """Refuse runs that differ in what they ran, on which data or machine; the code's revision may differ."""
    first = runs[0]
    for run in runs[1:]:
        for key in ("settings", "generation"):
            if run.info.get(key) != first.info.get(key):
                raise StudyError(f"{run.path} and {first.path} differ in '{key}'; run the technique again.")
        ours, theirs = ((one.info.get("provenance") or {}).get("dataset_digest") for one in (first, run))
        if ours != theirs:
            raise StudyError(f"{run.path} and {first.path} were made from other data sets; run the technique again.")
        if [sample.new_tokens for sample in run.fixed] != [sample.new_tokens for sample in first.fixed]:
            raise StudyError(f"{run.path} and {first.path} differ in their fixed mode; run the technique again.")
        difference = machines.difference(first.info, run.info)
        if difference:
            raise StudyError(f"{run.path} and {first.path} differ in {difference}; run the technique again.")


def _differing(runs: list[Run]) -> int:
    """Count the prompts whose tokens are not the same in every run."""
    columns = zip(*(run.samples for run in runs), strict=True)
    return sum(any(sample.token_ids != prompt[0].token_ids for sample in prompt) for prompt in columns)


def _costs(run: Run) -> dict[str, Any]:
    """Return what a run cost beside its requests, when it was, and what the machine was like."""
    head = {"run": run.info.get("run"), "status": run.info["status"]}
    return head | {key: run.info.get(key) for key in COSTS + READINGS}
