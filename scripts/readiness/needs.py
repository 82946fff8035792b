"""What a whole study takes, from nothing: time, memory and disk."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.readiness import memory
from scripts.readiness.place import Machine
from scripts.readiness.techniques import Verdict
from scripts.study import configuration, expected
from scripts.study.plan import Plan

SAMPLE_BYTES = 2000  # of a sample's line in a run's file, in every run
STUDY_BYTES = 50_000_000  # data set, records, logs, plots and report


@dataclass(frozen=True)
class Needs:
    """What is expected.

    Attributes:
        seconds: from the first job to the last.
        jobs: number of jobs.
        measured: how many of them an earlier run here has timed.
        bytes: memory of the device that needs most; None if unknown.
        disk_bytes: for models made here and for results.
        fetched: models and data that are downloaded first, into the hub's cache, of unknown size.
    """

    seconds: float
    jobs: int
    measured: int
    bytes: int | None
    disk_bytes: int
    fetched: list[str]


def of_study(plan: Plan, machine: Machine, verdicts: list[Verdict]) -> Needs:
    """Add up what the techniques that can run take."""
    able = {verdict.name for verdict in verdicts if verdict.problem is None}
    estimate = expected.Estimate(plan)
    seconds, measured, count = 0.0, 0, 0
    for rule, wildcards, benchmark in expected.jobs(plan):
        if wildcards.get("technique", next(iter(able), None)) not in able:
            continue
        took, known = estimate.seconds(rule, wildcards, benchmark)
        seconds += took * _share(plan, machine, rule, wildcards)
        measured, count = measured + known, count + 1
    used = configuration.models_used([plan.techniques[name] for name in able])
    models = {name: configuration.model(plan.config, name) for name in used}
    lines = plan.config["dataset"]["samples"] * len(able) * len(plan.runs)
    disk = STUDY_BYTES + lines * SAMPLE_BYTES
    disk += sum(memory.distribution_bytes(plan, plan.techniques[name]) for name in able)
    for name, model in models.items():
        shape = expected.architecture(plan, name)
        if shape is not None and model.options.makes_weights():  # made here
            disk += expected.parameters(shape) * (4 if model.dtype == "float32" else 2)
    fetched = [name for name, model in models.items() if model.options.bytes_to_fetch() is None]
    fetched += ["the data set"] if plan.config["dataset"]["source"] == "hub" else []
    known = [verdict.bytes for verdict in verdicts if verdict.bytes is not None]
    return Needs(seconds, count, measured, max(known, default=None), disk, fetched)


def _share(plan: Plan, machine: Machine, rule: str, wildcards: dict[str, str]) -> float:
    """Part of the machine that a job takes."""
    if rule in ("prepare_model", "prepare_dataset", "compare", "plot", "render"):
        return 1.0  # others wait for it
    if rule == "generate":
        processes = plan.techniques[wildcards["technique"]].processes
        return processes / len(machine.devices) if machine.devices else 1.0
    return 1 / machine.cores
