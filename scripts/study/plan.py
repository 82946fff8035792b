"""Inputs, code dependencies and requests of the workflow's jobs: the rules' helpers, independent of Snakemake."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from scripts.foundation import files
from scripts.inference import leases, machine
from scripts.metrics import families
from scripts.study import configuration, load, record, timing_reference
from scripts.study.techniques import Technique

AUTO = "auto"
CHOSEN_THREADS = "results/threads.json"
PLOTS = ("latency_quality", "memory_quality", "throughput_quality")


def as_text(value: Any) -> str:
    """A value as canonical JSON: sorted keys, ASCII only (Snakemake prints it unescaped)."""
    return json.dumps(value, sort_keys=True, allow_nan=False)


def manifest(model: str) -> str:
    """Path of a model's manifest."""
    return f"results/models/{model}/manifest.json"


@dataclass(frozen=True)
class Plan:
    """The jobs of a checked study.

    Attributes:
        config: the whole configuration.
        techniques: the selected ones by name, in the report's order.
        references: the reference studies, read.
        conda: whether engines have environments of their own, which Snakemake makes.
        left_out: sentences on techniques that are left out with their models.
    """

    config: dict[str, Any]
    techniques: dict[str, Technique]
    references: list[Any]
    conda: bool = False
    left_out: tuple[str, ...] = ()

    @property
    def runs(self) -> range:
        """Numbers of each technique's runs."""
        return range(1, self.config["measurement"]["repeats"] + 1)

    @property
    def load_runs(self) -> range:
        """Numbers of the load runs of each technique that is tested under load."""
        return range(1, (self.config["load"]["repeats"] or self.config["measurement"]["repeats"]) + 1)

    @property
    def encoder(self) -> dict[str, Any] | None:
        """Settings of the text encoder; None without semantic scores."""
        return configuration.encoder_settings(self.config)

    @property
    def classifier(self) -> dict[str, Any] | None:
        """Settings of the classifier of entailment; None without one."""
        return configuration.entailment_settings(self.config)

    @property
    def matcher(self) -> dict[str, Any] | None:
        """Settings of the text model of the BERTScore; None without one."""
        return configuration.bertscore_settings(self.config)

    @functools.cached_property
    def reference(self) -> Technique | None:
        """The technique of the reference process, if any."""
        return timing_reference.find(self.config["measurement"]["reference"], list(self.techniques.values()))

    @functools.cached_property
    def loaded(self) -> dict[str, Technique]:
        """The techniques that are tested under load, by name."""
        return {each.name: each for each in load.selected(self.config, list(self.techniques.values()))}

    @functools.cached_property
    def on_gpus(self) -> bool:
        """Whether techniques run on GPUs: those of this machine, or a cluster's where the study asks for them.

        Raises:
            StudyError: CUDA_VISIBLE_DEVICES names a MIG device.
        """
        device = self.config["measurement"]["device"]
        return device == "cuda" if device != "auto" else bool(leases.usable(machine.gpus()))

    @property
    def threads(self) -> int:
        """CPU threads a process; 0 shares out all cores, or as many of them as a measurement chooses."""
        asked = self.config["measurement"]["threads"]
        if asked != AUTO:
            return asked
        return 0 if self.measures_threads else 1  # beside a GPU one thread launches its kernels

    @property
    def measures_threads(self) -> bool:
        """Whether the number of CPU threads is chosen by a measurement on this machine."""
        return self.config["measurement"]["threads"] == AUTO and not self.on_gpus

    def thread_inputs(self) -> dict[str, str]:
        """The file of the number of threads that was chosen, where that is asked for."""
        return {"chosen_threads": CHOSEN_THREADS} if self.measures_threads else {}

    @property
    def timed_for_threads(self) -> str:
        """The model with which the number of threads is chosen: the reference's, or the first technique's."""
        return (self.reference or next(iter(self.techniques.values()))).model

    @functools.cached_property
    def comparable_machine(self) -> str:
        """What must be equal for timings to be compared in one report."""
        name = self.config["measurement"]["machine"]
        return as_text(machine.identity() if name == "auto" else {"name": name, "versions": machine.versions()})

    def priority(self, technique: str, run: int) -> int:
        """Snakemake priority of a run: round by round, techniques in a random order within each round.

        Interleaving spreads drift of the machine over all techniques. The order depends only on seed, run and name, and
        is part of no key.
        """
        drawn = hashlib.sha256(f"{self.config['measurement']['order_seed']}/{run}/{technique}".encode()).hexdigest()
        return (len(self.runs) - run + 1) * 1000 + int(drawn, 16) % 1000

    def generation_inputs(self, technique: Technique) -> dict[str, str]:
        """Files that a technique's runs read, by the stage's argument."""
        inputs = {"dataset": "results/dataset/eval.jsonl", "target": manifest(technique.model)}
        if technique.draft is not None:
            inputs["draft"] = manifest(technique.draft)
        if self.config["generation"]["shots"] or technique.calibration_rows:
            inputs["rows"] = "results/dataset/train.jsonl"
        return inputs | self.engine_inputs(technique) | self.thread_inputs()

    def run_inputs(self, technique: Technique) -> dict[str, str]:
        """Inputs of a timed run, including the reference's model."""
        reference = {"reference": manifest(self.reference.model)} if self.reference else {}
        return self.generation_inputs(technique) | reference

    def engine_inputs(self, technique: Technique) -> dict[str, str]:
        """What a technique's engine was found to be in an environment of its own; nothing where the PATH has it."""
        environment = technique.engine_environment if self.conda else None
        return {"engine": f"results/engines/{environment}.json"} if environment else {}

    def run_modules(self, technique: Technique) -> list[str]:
        """Modules whose code a technique's runs depend on: the facets that it and the reference use among them."""
        reference = self.reference
        second = ["scripts.inference.reference_worker", *reference.code_modules] if reference else []
        by = [technique.run_by] if technique.run_by else []
        return ["scripts.generate", "scripts.inference.worker", *by, *technique.code_modules, *second]

    def load_modules(self, technique: Technique) -> list[str]:
        """Modules whose code a technique's load runs depend on."""
        own = [] if technique.run_by else ["scripts.serve"]
        return ["scripts.measure_load", *own, *technique.code_modules]

    def profile_modules(self, technique: Technique) -> list[str]:
        """Those of a technique's profile."""
        return ["scripts.profile_technique", "scripts.inference.worker", *technique.code_modules]

    def score_modules(self, technique: Technique) -> list[str]:
        """Those of a technique's metrics: the costs of its facets among them."""
        return ["scripts.score", *families.modules(), *technique.cost_modules]

    def gpus_needed(self, technique: Technique) -> int:
        """GPUs of a technique's run; none on a machine without."""
        return technique.processes if self.on_gpus else 0

    def generation_threads(self, technique: Technique, cores: int) -> int:
        """One core a process with GPUs; without, or alone, all cores, so that no other job disturbs a timing."""
        return technique.processes if self.on_gpus and not self.config["measurement"]["exclusive"] else cores

    def profile_request(self, technique: Technique) -> dict[str, Any]:
        """The request of a technique's profile, without files."""
        measurement = self.config["measurement"]
        return (
            {
                "technique": technique.name,
                "settings": technique.settings,
                "generation": configuration.generation_settings(self.config),
                "warmup": measurement["warmup"],
                "device": measurement["device"],
                "threads": self.threads,
                "samples": measurement["profile"],
                "output": f"results/profiles/{technique.name}",
            }
            | ({"served": technique.served} if technique.run_by else {})
            | self._alone
        )

    @property
    def _alone(self) -> dict[str, str]:
        """What a run is asked about its neighbours; nothing by default, so that asking makes stale what had some."""
        return {"neighbours": "none"} if self.config["measurement"]["exclusive"] else {}

    def run_request(self, technique: Technique, run: int) -> dict[str, Any]:
        """The request of a run, without files."""
        asked = self.profile_request(technique)
        del asked["samples"]
        reference = self.reference
        return asked | {
            "run": run,
            "fixed": self.config["measurement"]["fixed"],
            "reference_technique": reference and {"technique": reference.name, "settings": reference.settings},
            "output": f"results/generations/{technique.name}/run-{run}",
        }

    def load_request(self, technique: Technique, run: int) -> dict[str, Any]:
        """The request of a load run, without files."""
        asked = self.profile_request(technique)
        del asked["samples"]
        settings = {key: value for key, value in self.config["load"].items() if key not in ("techniques", "repeats")}
        return asked | {"run": run, "load": settings, "output": f"results/load/{technique.name}/run-{run}"}

    def dataset_request(self) -> dict[str, Any]:
        """The request of the data set stage."""
        return {"settings": configuration.dataset_settings(self.config), "output": "results/dataset"}

    def bertscore_request(self) -> dict[str, Any]:
        """The request for the text model of the BERTScore."""
        return {"kind": "encoder", "name": "bertscore", "settings": self.matcher, "output": "results/bertscore"}

    def encoder_request(self) -> dict[str, Any]:
        """The request for the text encoder."""
        return {"kind": "encoder", "name": "encoder", "settings": self.encoder, "output": "results/encoder"}

    def classifier_request(self) -> dict[str, Any]:
        """The request for the classifier of entailment."""
        output = "results/classifier"
        return {"kind": "encoder", "name": "entailment", "settings": self.classifier, "output": output}

    def model_request(self, name: str) -> dict[str, Any]:
        """The request for a model, without files."""
        on_gpu = configuration.model(self.config, name).options.uses_gpu
        return {
            "name": name,
            "settings": configuration.model_settings(self.config, name),
            "prompt": self.config["generation"]["prompt"],
            "device": self.config["measurement"]["device"] if on_gpu else None,
            "output": f"results/models/{name}",
        }

    def comparison_request(self) -> dict[str, Any]:
        """The request of the comparison, without files."""
        return {
            "study": self.comparison_settings(),
            "output": "results/comparison.json",
            "table": "results/comparison.csv",
            "previous": self.config["report"]["previous"],
        }

    def comparison_settings(self) -> dict[str, Any]:
        """The study as the comparison needs it: order, labels, parents, differences, settings."""
        config, techniques = self.config, list(self.techniques.values())
        keys = ("name", "label", "parent", "lossless", "difference", "settings", "facets")
        return {
            "title": config["title"],
            "baseline": "baseline",
            "prompt": config["generation"]["prompt"],
            "techniques": [{key: getattr(technique, key) for key in keys} for technique in techniques],
            "examples": config["report"]["examples"],
            "comparison": config["comparison"],
            "sweeps": configuration.sweeps_of(config),
            "ranking": config["ranking"],
            "scenarios": config["scenarios"],
            "scenario_order": list(config["scenarios"]),
            "references": self.references,
            "configuration": record.record(config, techniques),
            "repeats": config["measurement"]["repeats"],
            "order_seed": config["measurement"]["order_seed"],
            "on_gpus": self.on_gpus,
            "left_out": list(self.left_out),
            "load": self.config["load"] if self.loaded else None,
        }


def write_request(path: str, asked: str, named_files: dict[str, Any]) -> None:
    """Write a job's request file: ``asked`` (JSON text) with the input files by argument name.

    Raises:
        OSError: it can't be written.
    """
    files.write_json(path, json.loads(asked) | named_files)
