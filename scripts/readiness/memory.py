"""Memory that techniques need, computed from the models' shapes."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.hardware import sizes
from scripts.study import configuration, expected
from scripts.study.plan import Plan
from scripts.study.techniques import Technique
from scripts.techniques import costs

# Of a process beside its model: libraries, CUDA's context, activations. As measured on the built-in study.
PROCESS_BYTES = {"cpu": 500_000_000, "cuda": 1_000_000_000}
PROMPT_TOKENS = 150


@dataclass(frozen=True)
class Need:
    """Bytes on one device (of the CPU, by all processes together).

    Attributes:
        least: weights and KV cache alone.
        likely: with the processes' own memory, and that of the reference beside it.
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
    likely = least + processes * PROCESS_BYTES[device]
    if plan.reference is not None:
        likely += (_model_bytes(plan, plan.reference) or 0) + PROCESS_BYTES[device]
    return Need(least, likely)


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
    prompt = technique.settings.get("prompt_tokens") or PROMPT_TOKENS
    batch = technique.settings.get("batch_size") or 1
    longest = technique.settings.get("max_new_tokens") or plan.config["generation"]["max_new_tokens"]
    positions = batch * (prompt + longest)
    cache = sizes.kv_cache_bytes(shape, cost, dtype, positions)
    return max(weights) + cache // len(weights) if plan.on_gpus else sum(weights) + cache
