"""Whether a technique can run here, by the same checks that its run makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scripts.foundation.errors import StudyError
from scripts.hardware import sizes
from scripts.inference import leases
from scripts.inference.architecture import of_config
from scripts.readiness import config as configs
from scripts.readiness import memory
from scripts.readiness.place import Machine, built_for_cuda, gb
from scripts.runtime.errors import UnsupportedError
from scripts.study import configuration
from scripts.study.plan import Plan
from scripts.study.techniques import Technique
from scripts.techniques import costs, registry

LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
LEAVE_OUT = "leave it out of the study's select"


@dataclass(frozen=True)
class Verdict:
    """What is said of a technique.

    Attributes:
        name: its name.
        problem: why it can't run; None if nothing is seen that keeps it from running.
        remedy: what to do about that.
        doubt: what may keep it from running.
        bytes: memory that a device needs for it, at least; None if unknown.
    """

    name: str
    problem: str | None = None
    remedy: str = ""
    doubt: str | None = None
    bytes: int | None = None


def judge(plan: Plan, technique: Technique, machine: Machine, obstacles: dict[str, str]) -> Verdict:
    """Look whether a technique can run.

    Args:
        plan: of the study.
        technique: one of its techniques.
        machine: this one.
        obstacles: why models can't be had, by the model's name.
    """
    for model in filter(None, (technique.model, technique.draft)):
        if model in obstacles:
            return Verdict(technique.name, obstacles[model])
    lacking = leases.lacking(technique.processes, machine.devices)
    if lacking:
        return Verdict(technique.name, lacking, f"show more GPUs in CUDA_VISIBLE_DEVICES, or {LEAVE_OUT}")
    if machine.devices and not built_for_cuda():
        remedy = "install one with CUDA, or set measurement.device to 'cpu'"
        return Verdict(technique.name, "The installed PyTorch is built without CUDA.", remedy)
    try:
        _apply(plan, technique, machine)
    except UnsupportedError as error:
        return Verdict(technique.name, str(error), f"change that, or {LEAVE_OUT}")
    need = memory.of_device(plan, technique)
    if need is None:
        return Verdict(technique.name)
    if need.least > machine.device_bytes:
        problem = f"Its weights and cache alone take {gb(need.least)} a device; there are {gb(machine.device_bytes)}."
        return Verdict(technique.name, problem, f"use a smaller model, quantization or parallel, or {LEAVE_OUT}")
    room = machine.device_bytes if machine.devices else machine.free_bytes
    doubt = f"needs about {gb(need.likely)}, and {gb(room)} are free" if need.likely > room else None
    return Verdict(technique.name, doubt=doubt, bytes=need.likely)


def _apply(plan: Plan, technique: Technique, machine: Machine) -> None:
    """Let every facet look at machine, model, layers and number of prompts.

    Raises:
        UnsupportedError: one of them can't do it.
    """
    _apply_to(plan, technique.settings, technique.model, machine)
    if technique.draft is not None:
        try:
            _apply_to(plan, registry.companion_settings(technique.settings), technique.draft, machine)
        except UnsupportedError as error:
            raise UnsupportedError(f"The draft model can't be prepared: {error}") from None
    prompts = [str(number) for number in range(plan.config["dataset"]["samples"])]
    for facet, value in registry.used_facets(technique.settings):
        facet.check_prompts(value, prompts)


def _apply_to(plan: Plan, settings: dict[str, Any], model: str, machine: Machine) -> None:
    facets = registry.used_facets(settings)
    for facet, value in facets:
        facet.check_machine(value, machine.place)
    content = configuration.model(plan.config, model).options.config_json()
    if content is None:  # not here yet
        return
    try:
        config = configs.of(content)
    except (ValueError, TypeError, KeyError, AttributeError):
        return  # the model's own stage says it
    for facet, value in facets:
        facet.check_model(value, config)
        facet.change_config(value, config)
    shapes = _shapes(settings, content)
    for facet, value in facets:
        facet.check_shapes(value, shapes, machine.place)


def _shapes(settings: dict[str, Any], content: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Shapes of a layer's matrices, as one process holds them; none where they are not known."""
    try:
        architecture, cost = of_config(content), costs.costs_of(settings)
    except (costs.NoCostError, StudyError):
        return {}
    if architecture is None:
        return {}
    matrices = [matrix.shard(cost.layout.tensor) for matrix in sizes.layer_matrices(cost.architecture(architecture))]
    return {name: (matrix.rows, matrix.columns) for name, matrix in zip(LAYERS, matrices, strict=True)}
