"""A line of a dry run: what would run, and why, from the sentences that Snakemake has for it."""

from __future__ import annotations

import re

from scripts.foundation import text

NAME_WIDTH = 34
MAX_SHOWN = 160  # characters of a reason

# The beginning of one of Snakemake's reasons -> what is shown for it; what stands behind it goes, but for "{}".
REASONS = {
    "Missing output files: ": "not made yet",
    "Incomplete output files: ": "left incomplete",
    "Input files updated by another job: ": "what it reads is made anew",
    "Params have changed since last execution: ": "{}",
    "Code has changed since last execution": "its command has changed",
    "Forced execution": "forced",
    "Updated input files: ": "changed: {}",
    "Set of input files has changed since last execution": "it reads other files than before",
    "Software environment definition has changed since last execution": "its software environment has changed",
}

# A rule -> what its jobs are called, one and several.
KINDS = {
    "prepare_dataset": ("data set", "data sets"),
    "engine_environment": ("engine's environment", "engines' environments"),
    "select_samples": ("selection of samples", "selections of samples"),
    "prepare_model": ("model", "models"),
    "prepare_encoder": ("text encoder", "text encoders"),
    "prepare_classifier": ("classifier of entailment", "classifiers of entailment"),
    "prepare_bertscore": ("text model of the BERTScore", "text models of the BERTScore"),
    "choose_threads": ("number of CPU threads", "numbers of CPU threads"),
    "generate": ("run", "runs"),
    "measure_load": ("load run", "load runs"),
    "profile": ("profile", "profiles"),
    "score_text": ("ROUGE score", "ROUGE scores"),
    "score_semantic": ("semantic score", "semantic scores"),
    "score_entailment": ("judgement of entailment", "judgements of entailment"),
    "score_bertscore": ("BERTScore", "BERTScores"),
    "score": ("technique's figures", "techniques' figures"),
    "compare": ("comparison", "comparisons"),
    "plot": ("set of plots", "sets of plots"),
    "render": ("report", "reports"),
}


def counted(jobs: dict[str, int]) -> str:
    """How many jobs there are, by kind: ``2 models, 84 runs, 1 report``.

    Args:
        jobs: number of jobs by rule, as Snakemake counts them; its total and the target rule are left out.
    """
    kinds = {rule: KINDS.get(rule, (rule, rule)) for rule in [*KINDS, *jobs]}
    counts = [(jobs.get(rule, 0), names) for rule, names in kinds.items() if rule not in ("total", "all")]
    return ", ".join(f"{count} {names[count != 1]}" for count, names in counts if count)


def line(name: str, reason: str) -> str:
    """One line on a job.

    Args:
        name: the step in words.
        reason: Snakemake's sentence of why it runs; parts are separated by semicolons.
    """
    found = list(dict.fromkeys(_short(part.strip()) for part in _parts(reason)))
    # That something above is made anew says nothing beside a reason of the job's own.
    own = [part for part in found if part != REASONS["Input files updated by another job: "]] or found
    shown = text.one_line("; ".join(own))
    return f"{name:<{NAME_WIDTH}}  {shown if len(shown) <= MAX_SHOWN else f'{shown[: MAX_SHOWN - 1]}…'}".rstrip()


def _parts(reason: str) -> list[str]:
    """Split at the semicolons between reasons; those inside of a sentence on params stay."""
    beginnings = "|".join(re.escape(beginning) for beginning in REASONS)
    return [part for part in re.split(rf"; (?={beginnings})", " ".join(reason.split())) if part]


def _short(part: str) -> str:
    for beginning, shown in REASONS.items():
        if part.startswith(beginning):
            return shown.format(part.removeprefix(beginning).strip())
    return part
