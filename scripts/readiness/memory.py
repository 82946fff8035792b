"""Memory that techniques need, computed from the models' shapes."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.hardware import sizes
from scripts.inference import distributions
from scripts.study import configuration, expected
from scripts.study.plan import Plan
from scripts.study.techniques import Technique
from scripts.techniques import costs

# Of a process beside its model and what that computes: libraries, CUDA's context. As measured on the built-in study.
PROCESS_BYTES = {"cpu": 500_000_000, "cuda": 1_000_000_000}
PROMPT_TOKENS = 150
# Bytes for each logit of a headline's tokens, while their likelihoods are computed: in float32, several times.
LOGIT_BYTES = 12


@dataclass(frozen=True)
class Need:
    """Bytes on one device (of the CPU, by all processes together).

    Attributes:
        least: weights and KV cache alone.
        likely: with activations and the processes' own memory, and those of the reference beside it.
    """

    least: int
    likely: int


def of_device(plan: Plan, technique: Technique) -> Need | None:
    """What the device that needs most must have; None where a model's shape or a facet's cost is not known."""
    least = _model_bytes(plan, technique)
    if least is None:
        return None
    device = "cuda" if plan.on_gpus else "cpu"
    processes = 1 if plan.on_gpus else technique.processes
    likely = least + processes * (PROCESS_BYTES[device] + _activation_bytes(plan, technique))
    if not plan.on_gpus:
        likely += 2 * distribution_bytes(plan, technique)  # the positions one by one, and all of them in one array
    if plan.reference is not None:
        likely += (_model_bytes(plan, plan.reference) or 0) + PROCESS_BYTES[device]
        likely += _activation_bytes(plan, plan.reference)
    return Need(least, likely)


def distribution_bytes(plan: Plan, technique: Technique) -> int:
    """Bytes of the file of a technique's distributions along the reference headlines; 0 where its run makes none."""
    shape = expected.architecture(plan, technique.model)
    random = configuration.model(plan.config, technique.model).options.random_weights
    if shape is None or random or technique.run_by or technique.settings.get("prompt_tokens"):
        return 0
    positions = plan.config["dataset"]["samples"] * (expected.HEADLINE_TOKENS + 1)
    return min(distributions.MAX_BYTES, positions * shape["vocabulary"] * distributions.NUMBER_BYTES)


def _activation_bytes(plan: Plan, technique: Technique) -> int:
    """What a process computes at its peak: a batch of prompts, or the logits along a headline."""
    shape = expected.architecture(plan, technique.model)
    if shape is None:
        return 0
    dtype = configuration.model(plan.config, technique.model).dtype
    batch, prompt, longest = _lengths(plan, technique)
    logits = max(batch, longest + 1) * shape["vocabulary"] * LOGIT_BYTES
    return max(sizes.activation_bytes(shape, dtype, batch * prompt), logits)


def _model_bytes(plan: Plan, technique: Technique) -> int | None:
    """Weights and KV cache of a technique."""
    shape = expected.architecture(plan, technique.model)
    draft = technique.draft and expected.architecture(plan, technique.draft)
    if shape is None or (technique.draft and draft is None):
        return None
    dtype = configuration.model(plan.config, technique.model).dtype
    try:
        cost = costs.costs_of(technique.settings)
        weights = sizes.weight_bytes_per_device(shape, cost, dtype, draft)
    except costs.NoCostError:
        return None
    batch, prompt, longest = _lengths(plan, technique)
    cache = sizes.kv_cache_bytes(shape, cost, dtype, batch * (prompt + longest))
    return max(weights) + cache // len(weights) if plan.on_gpus else sum(weights) + cache


def _lengths(plan: Plan, technique: Technique) -> tuple[int, int, int]:
    """Requests of a batch, and tokens of a prompt and of an answer, at most."""
    settings = technique.settings
    longest = settings.get("max_new_tokens") or plan.config["generation"]["max_new_tokens"]
    return settings.get("batch_size") or 1, settings.get("prompt_tokens") or PROMPT_TOKENS, longest
