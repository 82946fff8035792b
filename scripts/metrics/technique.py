"""The metrics file of one technique: every figure, the raw values per sample, and metadata of the runs."""

from typing import Any

from scripts.foundation.errors import StudyError
from scripts.metrics import figures, loads, machines, memory, noise, per_prompt, reference, registry
from scripts.metrics.distributions import Compared
from scripts.metrics.entry import missing
from scripts.metrics.recorded import Recorded
from scripts.metrics.runs import Run
from scripts.metrics.samples import RETOKENISED

# What is passed through from run.json: of the first run here, and of each run in ``runs``.
READINGS = ("provenance", "calibration", "conditions", "energy", "time")
CONTEXT = ("settings", "models", "generation", "evidence", "machine", "versions", "threads", "processes", "modes",
           "threads_chosen")  # fmt: skip
COSTS = ("load_time_s", "warmup_time_s", "compile_time_s", "generation_time_s", "started_at", "finished_at")


def technique_metrics(
    technique: str,
    dataset: list[dict[str, Any]],
    runs: list[Run],
    text: dict[str, Any] | None,
    semantic: dict[str, Any] | None = None,
    spread_bound: float = noise.SPREAD_BOUND,
    load_runs: list[dict[str, Any]] | None = None,
    distributions: Compared | None = None,
    entailment: dict[str, Any] | None = None,
    bertscore: dict[str, Any] | None = None,
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
        load_runs: its load runs, as :func:`scripts.metrics.loads.read_loads` gives them; None where it has none.
        distributions: the first run's beside its parent's; None where they were not compared.
        entailment: the first run's file of judgements of entailment, or None where the study has none.
        bertscore: the first run's file of BERTScores, or None where the study has none.

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
    recorded = Recorded(runs, text, semantic, load_runs or [], distributions, entailment, bertscore)
    first, result = recorded.first, _figures(recorded)
    check = memory.check(runs)
    return head | {
        "status": "ok",
        "reason": None,
        "quality_measured": recorded.unscored is None,
        "unscored_reason": recorded.unscored,
        "figures": result,
        "flags": [*noise.flags(runs, result, check, spread_bound), *filter(None, [reference.flag(runs)])],
        "samples": per_prompt.columns(recorded),
        "reference": reference.described(runs),
        "tokens_differ_between_runs": _differing(runs),
        "draws": first.draws,
        "between_draws": _between_draws(text, semantic, entailment),
        "tokens_from": "text" if any(sample.tokens == RETOKENISED for sample in first.samples) else None,
        "memory_method": first.info["memory"].get("method"),
        "memory_of_server": memory.is_server(first),
        "memory_devices": memory.devices(runs),
        "memory_anatomy": memory.anatomy(runs),
        "memory_check": check,
        "smallest_gpu": memory.smallest_gpu(runs),
        "text_tokenizer": (text or {}).get("tokenizer"),
        "semantic_model": (semantic or {}).get("model"),
        "entailment_model": (entailment or {}).get("model"),
        "bertscore_model": (bertscore or {}).get("model"),
        "load": loads.summary(recorded.loads),
        "batch_size": recorded.batch_size,
        "runs": [_costs(run) for run in runs],
        **{key: first.info.get(key) for key in CONTEXT + READINGS},
    }


def _figures(recorded: Recorded) -> dict[str, figures.Figure]:
    """Compute every figure of the registry.

    Raises:
        StudyError: a family computes other figures than it has entries for, or in other units.
    """
    result = {}
    for family in registry.families():
        found = family.compute(recorded)
        units = {entry.key: entry.unit for entry in family.FIGURES}
        if {key: figure["unit"] for key, figure in found.items()} != units:
            raise StudyError(f"{family.__file__}: compute gives other figures or units than FIGURES; correct it.")
        result |= {key: found[key] for key in units}
    return result


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
        "batch_size": Recorded([failed]).batch_size,
        "runs": [_costs(run) for run in runs],
        **{key: failed.info.get(key) for key in CONTEXT + READINGS},
    }


def _no_figures(status: str, reason: str) -> dict[str, Any]:
    return {
        "status": status,
        "reason": reason,
        "quality_measured": False,
        "unscored_reason": status.replace("_", " "),
        "figures": missing(registry.entries(), status.replace("_", " ")),
        "flags": [],
        "samples": None,
        "reference": None,
        "tokens_differ_between_runs": None,
        "draws": None,
        "between_draws": None,
        "tokens_from": None,
        "memory_method": None,
        "memory_of_server": False,
        "memory_devices": [],
        "memory_anatomy": [],
        "memory_check": None,
        "smallest_gpu": None,
        "text_tokenizer": None,
        "semantic_model": None,
        "entailment_model": None,
        "bertscore_model": None,
        "load": None,
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


def _between_draws(*scored: dict[str, Any] | None) -> dict[str, float] | None:
    """Return the standard deviation of each score's mean from draw to draw; None where there is one draw."""
    found = [content["between_draws"] for content in scored if content and content.get("between_draws")]
    return {key: value for each in found for key, value in each.items()} or None


def _differing(runs: list[Run]) -> int:
    """Count the prompts whose tokens are not the same in every run."""
    written = [[[s.token_ids for s in answers] for answers in zip(*run.passes(), strict=True)] for run in runs]
    return sum(any(answers != prompt[0] for answers in prompt) for prompt in zip(*written, strict=True))


def _costs(run: Run) -> dict[str, Any]:
    """Return what a run cost beside its requests, when it was, and what the machine was like."""
    head = {"run": run.info.get("run"), "status": run.info["status"]}
    return head | {key: run.info.get(key) for key in COSTS + READINGS}
