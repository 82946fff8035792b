"""Checks a study's configuration: its form against the schema, then its meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.dataset.settings import Settings as DatasetSettings
from scripts.dataset.settings import read as read_dataset
from scripts.foundation.errors import StudyError
from scripts.foundation.wording import shown
from scripts.hardware import datasheet
from scripts.metrics import bertscore as matching
from scripts.metrics.answers import reader
from scripts.models.settings import ModelSettings
from scripts.models.settings import read as read_model
from scripts.models.source import ENCODER
from scripts.study import form, limits, load, sampling, threads, timing_reference
from scripts.study.sweeps import unfold
from scripts.study.techniques import Technique, resolve

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "config" / "config.schema.yaml"


def check(config: dict[str, Any]) -> list[Technique]:
    """Check the whole configuration.

    Returns:
        The selected techniques, resolved, in the report's order.

    Raises:
        StudyError: one sentence that names the key.
    """
    check_form(config)
    entries, sweeps = unfold(config["techniques"], config["sweeps"])
    if sweeps:
        # The values of a sweep must satisfy the facet's schema too.
        check_form(config | {"techniques": entries})
    points = [point["technique"] for sweep in sweeps for point in sweep["points"]]
    selected = list(dict.fromkeys([*config["select"], *points])) if config["select"] else []
    techniques = resolve(entries, selected, set(config["models"]))
    for name in models_used(techniques):
        model(config, name).options.check(f"models.{name}")
    _check_drafts(config, techniques)
    _check_forced(config, techniques)
    _check_dataset(config)
    _check_encoder(config)
    _check_choices(config)
    reader.check(config["generation"]["answer"])
    _check_chat(config, techniques)
    limits.check(config, techniques)
    threads.check(config, models_used(techniques))
    timing_reference.find(config["measurement"]["reference"], techniques)
    load.selected(config, techniques)
    return sampling.checked(config["generation"], techniques)


def sweeps_of(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The sweeps of a checked configuration, each with the techniques of its points."""
    return unfold(config["techniques"], config["sweeps"])[1]


def encoder_settings(config: dict[str, Any]) -> dict[str, Any] | None:
    """Settings of the text encoder, in the form of a model's; None where the study asks for no semantic score."""
    return _judge_settings(config["quality"]["semantic"])


def entailment_settings(config: dict[str, Any]) -> dict[str, Any] | None:
    """Settings of the classifier of entailment, in the form of a model's; None where the study asks for none."""
    return _judge_settings(config["quality"]["entailment"])


def bertscore_settings(config: dict[str, Any]) -> dict[str, Any] | None:
    """Settings of the text model of the BERTScore, in the form of a model's; None where the study asks for none."""
    return _judge_settings(config["quality"]["bertscore"])


def _judge_settings(given: dict[str, Any]) -> dict[str, Any] | None:
    source = given["source"]
    if source == "none":
        return None
    return {"source": source, source: given[source], "dtype": "float32", "seed": 0}


def check_form(config: dict[str, Any]) -> None:
    """Check values, keys and types against the schema; the error names the key by its path."""
    form.check(config, SCHEMA)


def model_settings(config: dict[str, Any], name: str) -> dict[str, Any]:
    """A model's settings with only its own source's options, so that those of others do not affect keys."""
    model = config["models"][name]
    source = model["source"]
    if source not in model:
        raise StudyError(f"models.{name}.source is '{source}', but models.{name}.{source} is missing; add its options.")
    return {"source": source, source: model[source], "dtype": model["dtype"], "seed": model["seed"]}


def model(config: dict[str, Any], name: str) -> ModelSettings:
    """A model's settings as its source reads them.

    Raises:
        StudyError: its source lacks an option.
    """
    return read_model(f"models.{name}", model_settings(config, name))


def encoder(config: dict[str, Any]) -> ModelSettings | None:
    """The text encoder's settings as its source reads them; None where the study asks for no semantic score."""
    given = encoder_settings(config)
    return read_model("quality.semantic", given) if given else None


def entailment(config: dict[str, Any]) -> ModelSettings | None:
    """The settings of the classifier of entailment as its source reads them; None where the study asks for none."""
    given = entailment_settings(config)
    return read_model("quality.entailment", given) if given else None


def bertscore(config: dict[str, Any]) -> ModelSettings | None:
    """The settings of the text model of the BERTScore as its source reads them; None where the study asks for none."""
    given = bertscore_settings(config)
    return read_model("quality.bertscore", given) if given else None


def generation_settings(config: dict[str, Any]) -> dict[str, Any]:
    """How headlines are asked for.

    How they are read from the answers is left out, since no run depends on it, and ``sampling`` where nothing is drawn.
    """
    generation = config["generation"]
    asked = {key: value for key, value in generation.items() if key not in ("answer", *sampling.KEYS)}
    drawn = sampling.settings(generation)
    return asked | {"sampling": drawn, "draws": generation["draws"]} if drawn else asked


def dataset_settings(config: dict[str, Any]) -> dict[str, Any]:
    """The data set's settings with the options of the chosen source alone; the number of samples left out."""
    dataset = config["dataset"]
    source = dataset["source"]
    return {key: dataset[key] for key in ("source", source, "filters", "markup", "evaluation_share", "seed")}


def dataset(config: dict[str, Any]) -> DatasetSettings:
    """The data set's settings as its source reads them.

    Raises:
        StudyError: an option is missing or not allowed.
    """
    return read_dataset(dataset_settings(config))


def models_used(techniques: list[Technique]) -> list[str]:
    """Names of the models that the techniques need, in order of first use."""
    names = [name for technique in techniques for name in (technique.model, technique.draft) if name]
    return list(dict.fromkeys(names))


def _check_chat(config: dict[str, Any], techniques: list[Technique]) -> None:
    """A chat needs a template, and a system message a chat."""
    generation = config["generation"]
    if not generation["chat_template"]:
        if generation["system"] is not None:
            raise StudyError(
                "generation.system is a message of a chat, and generation.chat_template is false; set that to true, or "
                "write it into generation.preamble."
            )
        return
    for technique in techniques:
        if model(config, technique.model).options.has_chat_template() is False:
            raise StudyError(
                f"generation.chat_template is true, but the tokenizer of model '{technique.model}', which technique "
                f"'{technique.name}' uses, has no chat template; set it to false, or choose an instruct model."
            )


def _check_drafts(config: dict[str, Any], techniques: list[Technique]) -> None:
    for technique in techniques:
        if technique.draft is None:
            continue
        target, draft = (
            model(config, name).options.tokenizer_identity() for name in (technique.model, technique.draft)
        )
        if target is not None and draft is not None and target != draft:
            raise StudyError(
                f"techniques.{technique.name}.speculation.draft: model '{technique.draft}' has another tokenizer than "
                f"its target '{technique.model}'; choose a draft that shares the target's."
            )


def _check_forced(config: dict[str, Any], techniques: list[Technique]) -> None:
    """Forced acceptance is only for models with random weights."""
    for technique in techniques:
        forced = (technique.settings.get("speculation") or {}).get("forced_acceptance")
        if forced is not None and not model(config, technique.model).options.random_weights:
            raise StudyError(
                f"techniques.{technique.name}.speculation.forced_acceptance puts out tokens that the target did not "
                f"choose; remove it, or use a model with random weights in place of '{technique.model}'."
            )


def _check_encoder(config: dict[str, Any]) -> None:
    for name, read in (("semantic", encoder), ("entailment", entailment), ("bertscore", bertscore)):
        key, given = f"quality.{name}", config["quality"][name]
        source = given["source"]
        if source != "none" and source not in given:
            raise StudyError(f"{key}.source is '{source}', but {key}.{source} is missing; add it.")
        found = read(config)
        if found:
            found.options.check(key, ENCODER)
            if (check := _OF_JUDGES.get(name)) and (content := found.options.config_json()) is not None:
                check(key, content, given)


def _check_classifier(key: str, content: dict[str, Any], _given: dict[str, Any]) -> None:
    """Check that a checkpoint is one of a classifier, before the runs that it is to judge."""
    named = content.get("architectures")
    built = [str(each) for each in named] if isinstance(named, list) else []
    if built and not any("SequenceClassification" in each for each in built):
        raise StudyError(f"{key}: the checkpoint is of {shown(built[0])[1:-1]}, no classifier; name an NLI classifier.")


def _check_layer(_key: str, content: dict[str, Any], given: dict[str, Any]) -> None:
    """Check that a text model has the layer that is asked for, where its configuration says how many there are."""
    layers = matching.layers_of(content)
    if layers is not None:
        matching.checked_layer(given["layer"], layers, "the model")


_OF_JUDGES = {"entailment": _check_classifier, "bertscore": _check_layer}


def _check_choices(config: dict[str, Any]) -> None:
    """Check ranking and scenarios: a weight above 0, and GPUs from the table of data sheets."""
    chosen = {f"scenarios.{name}": entry for name, entry in config["scenarios"].items() if entry is not None}
    for where, entry in {"ranking": config["ranking"], **chosen}.items():
        if "weights" in entry and not any(entry["weights"].values()):
            raise StudyError(f"{where}.weights are all zero; give at least one criterion a weight above 0.")
        if where == "ranking" and entry["weights"]["capacity"] and config["load"]["techniques"] == "none":
            raise StudyError(
                f"ranking.weights.capacity is {entry['weights']['capacity']:g}, but nothing is put under load; set "
                "load.techniques to auto, or the weight to 0."
            )
        gpu = (entry.get("limits") or {}).get("fits_gpu")
        known = [device.label for device in datasheet.devices()] if gpu is not None else []
        if gpu is not None and gpu not in known:
            raise StudyError(
                f"{where}.limits.fits_gpu is '{gpu}', not in config/hardware.yaml; use {', '.join(known)}."
            )


def _check_dataset(config: dict[str, Any]) -> None:
    source = config["dataset"]["source"]
    if source not in config["dataset"]:
        raise StudyError(f"dataset.source is '{source}', but dataset.{source} is missing; add its options.")
    options = dataset(config).options
    options.check()
    samples, rows = config["dataset"]["samples"], options.split_rows().get("evaluation_rows")
    if rows is not None and samples > rows:
        raise StudyError(
            f"dataset.samples is {samples}, but dataset.{source}.evaluation_rows is {rows}; raise it or take fewer "
            "samples."
        )
