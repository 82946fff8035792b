"""How long a study's jobs are expected to take: as long as in an earlier run on this machine, or else a guess.

A guess rests on the sizes in the study and on constants that were measured on two cores of a server without a GPU. It
may be wrong by a factor of three; it is for a progress line and for `python -m scripts.doctor`, and in no result.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from scripts.foundation.errors import StudyError
from scripts.inference.architecture import of_config
from scripts.models.source import Source
from scripts.study import configuration
from scripts.study.plan import Plan
from scripts.study.techniques import Technique

# Seconds of the stages whose length hardly depends on the study.
STAGES = {
    "choose_threads": 25.0,
    "prepare_dataset": 6.0, "select_samples": 2.0, "prepare_encoder": 30.0,
    "prepare_classifier": 30.0, "score_entailment": 30.0, "score_text": 5.0, "score_semantic": 20.0,
    "prepare_bertscore": 30.0, "score_bertscore": 20.0,
    "score": 4.0, "compare": 15.0, "plot": 6.0, "render": 6.0,
}  # fmt: skip
START_S = 12.0  # of a run: start of the processes, imports, loading, warm-up, and what is observed after the samples
LOAD_START_S = 15.0  # of a load run: start of the server, and its end
LOAD_SHARE = 0.3  # of the time that a load run may take
LAYER_S = 0.0006  # of a forward pass, a decoder layer's operators called from Python
HEADLINE_TOKENS = 14  # of a model that ends its headlines itself
TRAINING_S = 40.0  # of training a model: tokenizer, encoding of the rows, saving
STEP_S = 0.2  # of a step of training, beside its arithmetic
FLOPS = {"cpu": 4.0e11, "cuda": 2.0e13}  # operations a second, as they are reached in float32
BANDWIDTH = {"cpu": 8.0e9, "cuda": 8.0e11}  # bytes a second
# How many times as long a run takes on a CPU, by a facet's method.
ON_CPU = (("quantization", "int8", 1.6), ("quantization", "nf4", 1.6), ("parallel", "tensor", 2.2),
          ("engine", "graph", 0.6))  # fmt: skip
PROMPT_TOKENS = 90  # of a prompt, and, with its headline, of a training row
DRAWN_BYTES_S = 1.5e8  # weights drawn at random, a second


class Estimate:
    """Expected times of a study's jobs.

    Args:
        plan: of the study.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._device = "cuda" if plan.on_gpus else "cpu"

    def seconds(self, rule: str, wildcards: dict[str, str], benchmark: str | Path | None = None) -> tuple[float, bool]:
        """Seconds that a job takes, and whether it took so long in an earlier run.

        Args:
            rule: its rule.
            wildcards: its wildcards.
            benchmark: the file in which Snakemake keeps how long it took, if the rule has one.
        """
        measured = measured_s(benchmark)
        if measured is not None:
            return measured, True
        if rule in ("generate", "profile"):
            return self._run_s(self._plan.techniques[wildcards["technique"]], int(wildcards.get("run", 1))), False
        if rule == "measure_load":
            return LOAD_START_S + LOAD_SHARE * self._plan.config["load"]["time_limit_s"], False
        if rule == "prepare_model":
            return self._model_s(wildcards["model"]), False
        return STAGES.get(rule, 10.0), False

    def _run_s(self, technique: Technique, run: int) -> float:
        """Every sample once in the natural length and some in the fixed one, beside the reference."""
        config = self._plan.config
        samples, fixed = config["dataset"]["samples"], config["measurement"]["fixed"]
        batch = technique.settings.get("batch_size") or 1
        longest = technique.settings.get("max_new_tokens") or config["generation"]["max_new_tokens"]
        random = self._options(technique.model).random_weights
        steps = math.ceil(samples / batch) * (longest if random else min(longest, HEADLINE_TOKENS))
        steps *= config["generation"]["draws"]
        steps += math.ceil(fixed["samples"] / batch) * fixed["new_tokens"]
        positions = PROMPT_TOKENS if technique.settings.get("kv_cache") == "none" else 1 + PROMPT_TOKENS / 16
        seconds = START_S * (1 + 0.3 * (technique.processes - 1)) + steps * self._forward_s(
            technique.model, positions * batch
        )
        if technique.draft is not None:
            seconds += steps * self._forward_s(technique.draft, 1)
        if self._plan.reference is not None:
            seconds += START_S / 2 + steps * self._forward_s(self._plan.reference.model, 1 + PROMPT_TOKENS / 16)
        seconds *= math.prod(factor for facet, method, factor in ON_CPU if self._uses(technique, facet, method))
        return seconds + (samples * self._forward_s(technique.model, PROMPT_TOKENS) if run == 1 else 0.0)

    def _uses(self, technique: Technique, facet: str, method: str) -> bool:
        value = technique.settings.get(facet)
        if self._device != "cpu" or not isinstance(value, dict):
            return False
        return method in (value.get("method"), value.get("name")) or value.get(method, 1) not in (1, None)

    def _forward_s(self, model: str, tokens: float) -> float:
        shape = architecture(self._plan, model)
        if shape is None:
            return 0.05
        weights = parameters(shape)
        size = 4 if configuration.model(self._plan.config, model).dtype == "float32" else 2
        work = max(2 * weights * tokens / FLOPS[self._device], weights * size / BANDWIDTH[self._device])
        return shape["layers"] * LAYER_S + work

    def _options(self, model: str) -> Source:
        return configuration.model(self._plan.config, model).options

    def _model_s(self, name: str) -> float:
        options, shape = self._options(name), architecture(self._plan, name)
        if shape is not None and hasattr(options, "copy_steps"):
            steps = options.steps + options.copy_steps
            work = 6 * parameters(shape) * options.batch * PROMPT_TOKENS
            return TRAINING_S + steps * (STEP_S + work / FLOPS[self._device])
        if shape is not None and options.random_weights:
            return 15.0 + 2 * parameters(shape) / DRAWN_BYTES_S
        return 20.0


def measured_s(benchmark: str | Path | None) -> float | None:
    """Seconds that the last run of a job took, by the file of its ``benchmark:``; None where there is none."""
    try:
        lines = Path(benchmark).read_text(encoding="utf-8").splitlines() if benchmark else []
        seconds = float(json.loads(lines[-1])["s"])
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def architecture(plan: Plan, model: str) -> dict[str, Any] | None:
    """The shape of a study's model; None where it is not known before the model is here."""
    try:
        config = configuration.model(plan.config, model).options.config_json()
    except StudyError:
        return None  # the model's own stage says it
    return of_config(config) if config else None


def parameters(shape: dict[str, Any]) -> int:
    """Number of weights of a model of the Llama family."""
    hidden, heads, kv_heads, width = shape["hidden"], shape["heads"], shape["kv_heads"], shape["head_dim"]
    layer = hidden * width * (2 * heads + 2 * kv_heads) + 3 * hidden * shape["intermediate"] + 2 * hidden
    tables = shape["vocabulary"] * hidden * (1 if shape["tied_embeddings"] else 2)
    return shape["layers"] * layer + tables + hidden


def jobs(plan: Plan) -> list[tuple[str, dict[str, str], Path | None]]:
    """All jobs of a study: rule, wildcards, and the file of its benchmark if it has one."""
    kept = Path("results/benchmarks")
    found: list[tuple[str, dict[str, str], Path | None]] = [
        ("prepare_dataset", {}, kept / "dataset/prepare.jsonl"),
        *[(rule, {}, None) for rule in ("select_samples", "compare", "plot", "render")],
    ]
    for model in configuration.models_used(list(plan.techniques.values())):
        found.append(("prepare_model", {"model": model}, kept / f"models/{model}.jsonl"))
    scores = [
        "score_text",
        *(["score_semantic"] if plan.encoder else []),
        *(["score_entailment"] if plan.classifier else []),
        *(["score_bertscore"] if plan.matcher else []),
    ]
    for name in plan.techniques:
        for run in plan.runs:
            wildcards = {"technique": name, "run": str(run)}
            found.append(("generate", wildcards, kept / f"generate/{name}-{run}.jsonl"))
        for run in plan.load_runs if name in plan.loaded else ():
            wildcards = {"technique": name, "run": str(run)}
            found.append(("measure_load", wildcards, kept / f"load/{name}-{run}.jsonl"))
        found += [(rule, {"technique": name}, None) for rule in scores]
        found.append(("score", {"technique": name}, kept / f"metrics/{name}.jsonl"))
    return found
