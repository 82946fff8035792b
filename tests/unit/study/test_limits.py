import os
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from scripts.foundation.errors import StudyError
from scripts.study.configuration import check

CONFIG = Path(__file__).resolve().parents[3] / "config"
SCHEMA = yaml.safe_load((CONFIG / "config.schema.yaml").read_text(encoding="utf-8"))
BUILT_IN = (CONFIG / "config.yaml").read_text(encoding="utf-8")


def refusal(text):
    config = yaml.safe_load(BUILT_IN) | {"select": []}
    update_config(config, yaml.safe_load(text))
    with pytest.raises(StudyError) as error:
        check(config)
    return str(error.value)


def parts(schema, where="schema"):
    """Every part of the schema that says a type, and where it stands."""
    if isinstance(schema, dict):
        if isinstance(schema.get("type"), str | list):
            yield where, schema
        for key, part in schema.items():
            yield from parts(part, f"{where}.{key}")
    elif isinstance(schema, list):
        for number, part in enumerate(schema):
            yield from parts(part, f"{where}.{number}")


def kinds(part):
    return {part["type"]} if isinstance(part["type"], str) else set(part["type"])


def test_every_number_of_the_schema_has_both_bounds():
    numbers = [(where, part) for where, part in parts(SCHEMA) if kinds(part) & {"integer", "number"}]
    assert len(numbers) > 60
    assert [where for where, part in numbers if not {"minimum", "exclusiveMinimum"} & set(part)] == []
    assert [where for where, part in numbers if not {"maximum", "exclusiveMaximum"} & set(part)] == []


def test_every_text_list_and_table_of_names_has_an_end():
    endless = [where for where, part in parts(SCHEMA) if "string" in kinds(part) and "maxLength" not in part]
    endless += [where for where, part in parts(SCHEMA) if "array" in kinds(part) and "maxItems" not in part]
    endless += [where for where, part in parts(SCHEMA) if "propertyNames" in part and "maxProperties" not in part]
    assert endless == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{measurement: {repeats: 100000000}}", "measurement.repeats: 100000000 is greater than the maximum of 100"),
        (f"{{measurement: {{warmup: {10**400}}}}}", "measurement.warmup is 1000"),
        ("{scenarios: {a: {limits: {min_devices: 4, max_devices: 1}}}}", "a.limits: min_devices (4) is above"),
        ("{scenarios: {multi_gpu_cluster: {limits: {max_devices: 1}}}}", "min_devices (2) is above max_devices (1)"),
        ("{generation: {shots: 16}, dataset: {newswire: {train_rows: 2}}}", "generation.shots is 16, but"),
        ("{dataset: {newswire: {train_rows: 0}}}", "models.small.source is train, which learns from training rows"),
        ("{techniques: {pruned_wanda: {pruning: {method: wanda, calibration: 50000}}}}", "pruning.calibration is"),
        ('{techniques: {"a\\n": {extends: baseline}}}', 'techniques has the name "a\\n"'),
        ('{sweeps: {s: {technique: pruned, facet: "pruning.amount\\n", values: [0.1]}}}', "sweeps.s.facet"),
        (f"{{techniques: {{{'a' * 65}: {{extends: baseline}}}}}}", "use at most 64 letters"),
        ('{title: "  "}', "title is"),
        ('{techniques: {baseline: {label: "a\\nb"}}}', "on one line"),
    ],
)  # fmt: skip
def test_what_is_beyond_sense_is_one_sentence(text, said):
    assert said in refusal(text)


def test_more_runs_than_any_study_needs():
    many = "".join(f"t{n}: {{extends: baseline}}, " for n in range(200))
    assert "makes 23,000 runs of 230 techniques" in refusal(
        f"{{techniques: {{{many}}}, measurement: {{repeats: 100}}}}"
    )


def test_a_long_chain_is_refused_at_once():
    chain = "".join(f"t{n}: {{extends: t{n + 1}}}, " for n in range(500))
    assert "a chain of more than 50 techniques" in refusal(f"{{techniques: {{{chain} t500: {{extends: baseline}}}}}}")


HUBS = ["../x", "a/..", "..", "/etc", "a/b/c", "a//b", "~/x", ".", "C:\\\\x", "owner/name\n", "./here", "own--er/x"]


@pytest.mark.parametrize("name", HUBS)
def test_a_hubs_name_leads_to_no_folder(name):
    quoted = '"' + name.replace("\n", "\\n") + '"'
    for key, text in {
        "models.small.hub.id": f"{{models: {{small: {{source: hub, hub: {{id: {quoted}, revision: {'1' * 40}}}}}}}}}",
        "dataset.hub.id": f"{{dataset: {{source: hub, hub: {{id: {quoted}, revision: main}}}}}}",
        "quality.semantic.hub.id": f"{{quality: {{semantic: {{source: hub, hub: {{id: {quoted}, revision: main}}}}}}}}",
    }.items():
        assert f"{key} is" in refusal(text.replace("1" * 40, "'" + "1" * 40 + "'"))


def test_a_hubs_name_that_is_a_local_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "news").mkdir(parents=True)
    assert "there is a folder" in refusal("{dataset: {source: hub, hub: {id: owner/news, revision: main}}}")


def test_paths_that_can_not_be_read_are_named_as_what_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    os.symlink("loop", "loop")
    for path, said in {"pipe": "a named pipe", "loop": "links", "a" * 300: "longer than", ".": "a directory"}.items():
        assert said in refusal(f"{{dataset: {{source: file, file: {{path: {path}}}}}}}")
    for path, said in {"pipe": "a named pipe", "loop": "a loop", "a" * 300: "longer than"}.items():
        assert said in refusal(f"{{models: {{small: {{source: path, path: {{path: {path}}}}}}}}}")
        assert said in refusal(f"{{models: {{small: {{source: random, random: {{architecture: {path}}}}}}}}}")
        assert said in refusal(f"{{quality: {{semantic: {{source: path, path: {{path: {path}}}}}}}}}")
