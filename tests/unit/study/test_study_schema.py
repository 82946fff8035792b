import copy
from pathlib import Path

import pytest
import yaml

from scripts.foundation.errors import StudyError
from scripts.study import configuration, layers, references
from scripts.study.configuration import check, check_form
from scripts.study.techniques import resolve
from scripts.techniques.registry import facet_names

CONFIG = Path(__file__).resolve().parents[3] / "config"
SCHEMA = yaml.safe_load((CONFIG / "config.schema.yaml").read_text(encoding="utf-8"))
STUDIES = sorted((CONFIG / "studies").glob("*.yaml"))


def built_in():
    return yaml.safe_load((CONFIG / "config.yaml").read_text(encoding="utf-8"))


def laid_over(base, over):
    """As Snakemake lays one configuration file over another: key by key."""
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            laid_over(base[key], value)
        else:
            base[key] = value
    return base


def changed(path, value):
    """The built-in configuration with one value set, by its dotted path."""
    config = built_in()
    *way, last = path.split(".")
    part = config
    for key in way:
        part = part[key]
    part[last] = value
    return config


def refusal(config, function=check):
    with pytest.raises(StudyError) as error:
        function(config)
    sentence = str(error.value)
    assert "\n" not in sentence
    return sentence


def keys_of(schema, where=""):
    """Every key that the schema describes, and its description; references resolved, definitions too."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] | schema
    for name, part in schema.get("properties", {}).items():
        yield f"{where}{name}", part
        yield from keys_of(part, f"{where}{name}.")
    for branch in schema.get("anyOf", []):
        yield from keys_of(branch, where)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from keys_of(schema["additionalProperties"], f"{where}*.")


ALL_KEYS = list(keys_of(SCHEMA))


@pytest.mark.parametrize(("path", "part"), ALL_KEYS, ids=[path for path, _ in ALL_KEYS])
def test_every_key_has_a_description_and_a_default(path, part):
    if "$ref" in part:
        part = SCHEMA["$defs"][part["$ref"].rpartition("/")[2]] | part
    assert part.get("description"), path
    # A group of keys has its default in its keys.
    assert "default" in part or part.get("type") == "object", path


def test_the_schema_is_closed():
    def objects(part):
        if isinstance(part, dict):
            if part.get("type") == "object":
                yield part
            for value in part.values():
                yield from objects(value)
        elif isinstance(part, list):
            for value in part:
                yield from objects(value)

    assert all("additionalProperties" in part for part in objects(SCHEMA))


def test_the_defaults_that_the_schema_names_are_the_built_in_ones():
    config = built_in()
    for path, part in ALL_KEYS:
        # Of keys below a group with a default of its own, the group's counts.
        if "*" in path or "default" not in part or "_words." in path:
            continue
        if path.split(".")[0] in ("techniques", "models") or path.startswith("generation.answer."):
            continue
        value = config
        for key in path.split("."):
            value = value[key]
        assert value == part["default"], path


def test_every_facet_is_in_the_schema():
    technique = SCHEMA["$defs"]["technique"]["properties"]
    assert set(facet_names()) | {"label", "extends", "model"} == set(technique)


def test_the_built_in_study_is_valid():
    techniques = check(built_in())
    assert techniques[0].name == "baseline"
    assert [technique.name for technique in techniques] == built_in()["select"]


def test_what_a_built_in_technique_is_compared_with_runs_too():
    selected = {technique.name: technique.parent for technique in check(built_in())}
    assert {parent for parent in selected.values() if parent} <= set(selected)


def test_the_references_techniques_are_selected():
    rows = [row for reference in references.read(built_in()["references"]) for row in reference["rows"]]
    assert {row["technique"] for row in rows} <= set(built_in()["select"])


def test_one_study_runs_every_technique():
    config = layers.read([CONFIG / "studies" / "all-techniques.yaml"], []).config
    assert [technique.name for technique in check(config)] == list(built_in()["techniques"])


@pytest.mark.parametrize("path", STUDIES, ids=[path.stem for path in STUDIES])
def test_every_study_is_valid_laid_over_the_built_in_one(path):
    config = layers.read([path], []).config
    check_form(config)
    assert resolve(config["techniques"], config["select"], set(config["models"]))


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("measurement.warmups", 3, "measurement has no key 'warmups'; it has"),
        ("colour", "red", "the configuration has no key 'colour'; it has"),
        ("techniques.int8.quantisation", "nf4", "techniques.int8 has no key 'quantisation'; it has"),
        ("measurement.repeats", "3", 'measurement.repeats is "3", which is not a whole number; correct it.'),
        ("generation.chat_template", "yes", 'generation.chat_template is "yes", which is not true or false'),
        ("models.small.train.max_rows", 1.5, "models.small.train.max_rows is 1.5, which is not a whole number or null"),
        ("measurement.device", "gpu", 'measurement.device is "gpu"; use auto or cpu or cuda.'),
        ("dataset.source", None, "dataset.source is null; use newswire or file or hub."),
        ("generation.prompt", "A headline, please", "generation.prompt has no {summary} in it"),
        (
            "techniques.graph.engine",
            {"name": "endpoint", "url": "ftp://x"},
            'techniques.graph.engine.url is "ftp://x"; give an address ',
        ),
        ("techniques", {}, "techniques"),
        ("techniques", {"no spaces": {}}, 'techniques has the name "no spaces"'),
        ("measurement.repeats", 0, "measurement.repeats: 0 is less than the minimum of 1"),
        ("measurement.repeats", True, "measurement.repeats is true, which is not a whole number"),
        ("dataset.evaluation_share", 0, "dataset.evaluation_share"),
        ("techniques.pruned.pruning", {"amount": 0}, "techniques.pruned.pruning"),
        ("techniques.pruned.pruning", {"amount": 1}, "techniques.pruned.pruning"),
        ("techniques.pruned.pruning", {"amount": 1.5}, "techniques.pruned.pruning"),
        ("techniques.pruned.pruning", {"amount": 0.3, "masks": True}, "techniques.pruned.pruning"),
        ("techniques.nf4.quantization", "int3", 'techniques.nf4.quantization is "int3"; use none or int8 or nf4 or '),
        ("techniques.tensor_parallel.parallel", {}, "techniques.tensor_parallel.parallel"),
        ("techniques.tensor_parallel.parallel", {"tensor": 0}, "techniques.tensor_parallel.parallel"),
        ("techniques.speculative.speculation", {"draft": "small", "tokens": 33}, "techniques.speculative.speculation"),
        (
            "ranking.weights.energy",
            1,
            "ranking.weights has no key 'energy'; it has capacity, latency, memory, quality, throughput.",
        ),
        ("ranking.weights.latency", -1, "ranking.weights.latency: -1 is less than the minimum of 0"),
        ("ranking.weights", {"latency": 1}, "ranking.weights lacks the key 'throughput'; add it"),
        ("scenarios.balanced.weights.speed", 1, "scenarios.balanced.weights has no key 'speed'; it has capacity, "),
        ("scenarios.balanced.weights.memory", -0.5, "scenarios.balanced.weights.memory: -0.5 is less than the minimum"),
        ("scenarios.balanced.weights.memory", None, "scenarios.balanced.weights.memory is null, which is not a number"),
        ("scenarios.balanced.limit", {}, "scenarios.balanced has no key 'limit'; it has description, label, limits, "),
        (
            "scenarios.balanced.limits.max_memory",
            1,
            "scenarios.balanced.limits has no key 'max_memory'; it has fits_gpu, ",
        ),
        (
            "scenarios.balanced.limits.max_devices",
            1.5,
            "scenarios.balanced.limits.max_devices is 1.5, which is not a whole",
        ),
        (
            "scenarios.balanced.limits.max_devices",
            0,
            "scenarios.balanced.limits.max_devices: 0 is less than the minimum",
        ),
        (
            "scenarios.balanced.limits.quality",
            "sure",
            'scenarios.balanced.limits.quality is "sure"; use mean or shown.',
        ),
        ("scenarios.balanced", "fast", 'scenarios.balanced is "fast", which is not a mapping or null; correct it.'),
        ("scenarios", {"my phone": {}}, 'scenarios has the name "my phone"; use letters, digits and underscores.'),
    ],
)
def test_a_wrong_form_is_one_sentence_that_names_the_key(path, value, sentence):
    assert refusal(changed(path, value), check_form).startswith(sentence)


def test_a_key_that_is_missing_is_named():
    config = built_in()
    del config["measurement"]["warmup"]
    assert refusal(config, check_form).startswith("measurement lacks the key 'warmup'; add it")


def test_a_missing_schema_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(configuration, "SCHEMA", tmp_path / "config.schema.yaml")
    assert (
        refusal(built_in()) == "config.schema.yaml is missing from config/; restore it from the project's repository."
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"dataset.source": "file"}, "dataset.file.path is empty"),
        ({"dataset.source": "file", "dataset.file.path": "no/file.json"}, "no/file.json does not exist"),
        ({"dataset.source": "hub"}, "dataset.hub.id is empty"),
        ({"dataset.source": "hub", "dataset.hub.id": "owner/name"}, "dataset.hub.revision is empty"),
        (
            {"dataset.filters.summary_words": {"min": 9, "max": 3}},
            "dataset.filters.summary_words: min 9 is above max 3",
        ),
        ({"dataset.samples": 1001}, "dataset.samples is 1001, but dataset.newswire.evaluation_rows is 1000"),
        ({"select": ["baseline", "fast"]}, "select names 'fast'"),
        (
            {"techniques.speculative.speculation": {"draft": "tiny"}},
            "techniques.speculative.speculation.draft is 'tiny'",
        ),
        (
            {"models.large.train.vocabulary": 777},
            "techniques.speculative.speculation.draft: model 'small' has another",
        ),
        (
            {
                "techniques.speculative.engine": "graph",
                "techniques.speculative.speculation": {"draft": "small", "forced_acceptance": 0.7},
            },
            "techniques.speculative.speculation.forced_acceptance puts out tokens that the target did not choose",
        ),
    ],
)
def test_a_wrong_meaning_is_one_sentence_that_names_the_key(changes, sentence):
    config = built_in()
    for path, value in changes.items():
        *way, last = path.split(".")
        part = config
        for key in way:
            part = part[key]
        part[last] = value
    assert sentence in refusal(config)


NO_WEIGHTS = {"latency": 0, "throughput": 0, "capacity": 0, "memory": 0, "quality": 0}


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("ranking.weights", NO_WEIGHTS, "ranking.weights are all zero; give at least one criterion a weight above 0."),
        ("ranking.weights.capacity", 2, "ranking.weights.capacity is 2, but nothing is put under load; set load.tech"),
        ("scenarios.balanced.weights", NO_WEIGHTS, "scenarios.balanced.weights are all zero; give at least one "),
        ("scenarios.balanced.weights", {}, "scenarios.balanced.weights are all zero; give at least one "),
        (
            "scenarios.mobile_edge.limits.fits_gpu",
            "T4",
            "scenarios.mobile_edge.limits.fits_gpu is 'T4', not in config/hardware.yaml; use B200, ",
        ),
    ],
)
def test_a_choice_without_meaning_is_refused(path, value, sentence):
    assert refusal(changed(path, value)).startswith(sentence)


@pytest.mark.parametrize(
    "over",
    [
        {"scenarios": {"mobile_edge": None}},
        {"scenarios": {"mobile_edge": {"limits": {"min_quality_kept_percent": None, "fits_gpu": "T4 16GB"}}}},
        {"scenarios": {"balanced": {"weights": {"latency": 0, "throughput": 0, "memory": 0}}}},
        {"scenarios": {"phone": {}, "server": {"label": "A server", "weights": {"throughput": 0.5}}}},
        {"ranking": {"weights": {"quality": 0}}},
    ],
)
def test_a_study_lays_its_own_choices_over_the_built_in_ones(over):
    config = laid_over(built_in(), over)
    assert check(config)
    assert "balanced" in config["scenarios"]


def test_a_sources_settings_are_its_own_alone():
    config = built_in()
    before = copy.deepcopy(config)
    small, data = configuration.model_settings(config, "small"), configuration.dataset_settings(config)
    config["models"]["small"]["hub"]["id"] = "owner/name"
    config["dataset"]["file"]["path"] = "elsewhere.json"
    config["dataset"]["samples"] = 7
    assert configuration.model_settings(config, "small") == small
    assert configuration.dataset_settings(config) == data
    assert set(small) == {"source", "train", "dtype", "seed"}
    before["models"]["small"]["train"]["steps"] += 1
    assert configuration.model_settings(before, "small") != small


def test_models_are_those_that_the_selected_techniques_need():
    config = built_in() | {"select": ["kv_cache", "pruned"]}
    assert configuration.models_used(check(config)) == ["small"]
    config["select"] = ["speculative"]
    assert configuration.models_used(check(config)) == ["large", "small"]
