"""Mistakes in a study: each is found before anything runs, and said in one sentence that names the key or file."""

import os
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.utils import update_config

from scripts.foundation.errors import StudyError
from scripts.study import configuration, layers
from tests.workflow.project import ROOT, Project, run

BUILT_IN = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))


def study(text: str) -> dict[str, Any]:
    """Lay a study over all that the built-in one defines, as Snakemake does with ``--configfile``."""
    config = deepcopy(BUILT_IN) | {"select": []}
    update_config(config, yaml.safe_load(text))
    return config


FORM = [
    ("{measurment: {warmup: 1}}", "measurment", "measurement"),
    ("{measurement: {warmups: 1}}", "measurement", "'warmups'", "warmup"),
    ("{dataset: {newswire: {rows: 1}}}", "dataset.newswire", "'rows'"),
    ("{models: {small: {train: {lr: 1}}}}", "models.small.train", "'lr'", "learning_rate"),
    ("{techniques: {kv_cache: {cache: dynamic}}}", "techniques.kv_cache", "'cache'", "kv_cache"),
    ("{techniques: {speculative: {batch: 4}}}", "techniques.speculative", "'batch'", "batch_size"),
    ("{techniques: {speculative: {batch_size: 4}}}", "techniques.speculative", "batch_size", "speculation"),
    ("{techniques: {kv_cache: {batch_size: 0}}}", "techniques.kv_cache.batch_size", "0"),
    ("{sweeps: {s: {technique: nf5, facet: batch_size, values: [1]}}}", "sweeps.s.technique", "'nf5'", "nf4"),
    ("{quality: {semantic: {source: path}}}", "quality.semantic.path.path", "empty"),
    ("{quality: {semantic: {source: path, path: {path: nowhere}}}}", "quality.semantic.path.path", "nowhere"),
    ("{comparison: {non_inferiority_margin: 2}}", "comparison.non_inferiority_margin", "2"),
    ("{techniques: {a b: {extends: baseline}}}", "techniques", '"a b"'),
    ("{generation: {max_new_tokens: many}}", "generation.max_new_tokens", '"many"', "whole number"),
    ("{dataset: {samples: 1.5}}", "dataset.samples", "1.5"),
    ("{dataset: {samples: true}}", "dataset.samples", "true"),
    ("{dataset: {samples: 0}}", "dataset.samples", "0"),
    ("{measurement: {repeats: null}}", "measurement.repeats", "null"),
    ("{techniques: {kv_cache: null}}", "techniques.kv_cache", "a mapping"),
    ("{techniques: {baseline: {label: 3}}}", "techniques.baseline.label", "text"),
    ("{select: kv_cache}", "select", "a list"),
    ("{measurement: {device: gpu}}", "measurement.device", "cuda"),
    ("{models: {small: {source: gguf}}}", "models.small.source", "hub"),
    ("{techniques: {nf4: {quantization: int9}}}", "techniques.nf4.quantization", '"int9"', "int8"),
    ("{techniques: {pruned: {pruning: random}}}", "techniques.pruned.pruning", "magnitude"),
    ("{techniques: {pruned: {pruning: {amount: 2}}}}", "techniques.pruned.pruning.amount", "2"),
    ("{techniques: {tensor_parallel: {parallel: 2}}}", "techniques.tensor_parallel.parallel", "tensor"),
    ("{models: {tiny: {source: train}}}", "models.tiny", "'dtype'"),
]

MEANING = [
    ("{techniques: {pruned: {extends: kvcache}}}", "techniques.pruned.extends", "'kvcache'", "'kv_cache'"),
    ("{techniques: {baseline: {extends: kv_cache}}}", "kv_cache.extends", "baseline -> kv_cache -> baseline"),
    ("{techniques: {x: {extends: x}}}", "techniques.x.extends", "x -> x"),
    ("{techniques: {x: {kv_cache: none}}}", "techniques.x", "model"),
    ("{techniques: {x: {model: small}}}", "techniques.x", "kv_cache"),
    ("{techniques: {x: {extends: baseline, model: tiny}}}", "techniques.x.model", "'tiny'", "large, small"),
    ("{techniques: {speculative: {speculation: {draft: smal}}}}", "speculative.speculation.draft", "'smal'", "'small'"),
    ("{select: [kv_cach]}", "select", "'kv_cach'", "'kv_cache'"),
    ("{dataset: {samples: 2000}}", "dataset.samples", "2000", "dataset.newswire.evaluation_rows", "1000"),
    ("{dataset: {filters: {summary_words: {min: 9, max: 3}}}}", "dataset.filters.summary_words", "9", "3"),
    ("{dataset: {source: file}}", "dataset.file.path", "empty"),
    ("{dataset: {source: file, file: {path: gone.csv}}}", "dataset.file.path", "gone.csv"),
    ("{dataset: {source: hub, hub: {id: owner/name}}}", "dataset.hub.revision"),
    ("{generation: {prompt: Write a headline.}}", "generation.prompt", "{summary}"),
    ("{models: {small: {source: hub}}}", "models.small.hub.id"),
    ("{models: {small: {source: hub, hub: {id: owner/name, revision: main}}}}", "models.small.hub.revision", "'main'"),
    ("{models: {small: {source: path, path: {path: gone}}}}", "models.small.path.path", "gone"),
    ("{models: {small: {source: random, random: {architecture: gone.json}}}}", "random.architecture", "gone.json"),
    ("{models: {small: {train: {hidden: 130}}}}", "models.small.train", "130"),
    (
        "{models: {small: {train: {vocabulary: 1024}}}}",
        "techniques.speculative.speculation.draft", "'small'", "'large'", "tokenizer",
    ),
]  # fmt: skip

COMPOSITION = [
    ("{techniques: {speculative: {kv_cache: none}}}", "techniques.speculative", "kv_cache", "speculation"),
    ("{techniques: {prompt_lookup: {kv_cache: none}}}", "techniques.prompt_lookup", "kv_cache", "speculation"),
    ("{techniques: {speculative: {parallel: {tensor: 2}}}}", "techniques.speculative", "parallel", "speculation"),
    ("{techniques: {prompt_lookup: {parallel: {pipeline: 2}}}}", "techniques.prompt_lookup", "parallel", "speculation"),
    ("{techniques: {tensor_parallel: {parallel: {pipeline: 2}}}}", "techniques.tensor_parallel", "tensor", "pipeline"),
    (
        "{techniques: {speculative: {speculation: {prompt_lookup: 4}}}}",
        "speculative.speculation",
        "draft",
        "prompt_lookup",
    ),
    ("{techniques: {x: {extends: target_only, speculation: {tokens: 4}}}}", "techniques.x.speculation", "draft"),
    ("{techniques: {nf4: {quantization: {method: nf4, threshold: 3}}}}", "techniques.nf4", "'threshold'"),
    (
        "{techniques: {int8: {quantization: {method: int8, double_quantization: true}}}}",
        "techniques.int8",
        "double_quant",
    ),
]


@pytest.mark.parametrize("case", FORM + MEANING + COMPOSITION, ids=lambda case: case[0])
def test_a_mistake_is_named(case: tuple[str, ...]) -> None:
    text, *named = case
    with pytest.raises(StudyError) as caught:
        configuration.check(study(text))
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    for name in named:
        assert name in message


COMPOSES = [
    "{extends: nf4, pruning: magnitude}",
    "{extends: tensor_parallel, quantization: nf4}",
    "{extends: pipeline_parallel, quantization: int8, pruning: {amount: 0.5}}",
    "{extends: target_only, quantization: nf4, speculation: {draft: small, tokens: 2}}",
    "{extends: baseline, quantization: int8, pruning: magnitude}",
    "{extends: speculative, speculation: none, parallel: {tensor: 2}}",
]


@pytest.mark.parametrize("entry", COMPOSES)
def test_what_composes_is_let_through(entry: str) -> None:
    config = study(f"{{techniques: {{x: {entry}}}, select: [x]}}")
    assert [technique.name for technique in configuration.check(config)] == ["x"]


@pytest.mark.parametrize("path", sorted((ROOT / "config/studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_studies_that_come_with_the_project_are_right(path: Path, tmp_path: Path, monkeypatch) -> None:
    config = layers.read([path], []).config
    monkeypatch.chdir(tmp_path)  # as with --directory
    data = config["dataset"]["file"]["path"]
    if data:  # the user's own
        Path(data).parent.mkdir()
        Path(data).touch()
    assert configuration.check(config)


COMMANDS = {
    "an unknown key": ({"measurment": {"warmup": 1}}, "'measurment'"),
    "an unknown technique": ({"select": ["kv_cache", "flash"]}, "'flash'"),
    "a missing data file": ({"dataset": {"source": "file", "file": {"path": "gone.csv"}}}, "gone.csv"),
    "an escape sequence": ({"measurement": {"\x1b[31mwarmup": 1}}, "'[U+001B][31mwarmup'"),
}


@pytest.mark.parametrize("mistake", COMMANDS)
def test_the_command_says_one_sentence_and_fails(fresh: Project, mistake: str) -> None:
    change, named = COMMANDS[mistake]
    fresh.study |= change
    assert named in (fresh.snakemake() if mistake == "an unknown key" else fresh.dry_run()).error
    assert not (fresh.root / "results").exists()


def test_a_missing_column_is_named(fresh: Project) -> None:
    (fresh.root / "news.csv").write_text(
        "short_description,title\nThe council met on Monday at noon.,Council meets\n", encoding="utf-8"
    )
    fresh.study["dataset"] |= {"source": "file", "file": {"path": "news.csv"}}
    error = fresh.snakemake("results/dataset/eval.jsonl").error
    assert "headline" in error
    assert "news.csv" in error


def test_too_few_rows_are_told_with_both_numbers(fresh: Project) -> None:
    rows = [f"The council of town {n} decided on {n} new bridges today.,Town {n} builds bridges\n" for n in range(10)]
    (fresh.root / "news.csv").write_text("short_description,headline\n" + "".join(rows), encoding="utf-8")
    fresh.study["dataset"] |= {"source": "file", "file": {"path": "news.csv"}}
    error = fresh.snakemake("results/dataset/eval.jsonl").error
    assert "has 2 rows" in error
    assert "dataset.samples asks for 4" in error


def test_a_study_file_is_read_before_snakemake_waits_for_it_or_fails_on_it(fresh: Project) -> None:
    """A named pipe, which Snakemake would wait for, and YAML that it would not name the file and line of."""
    command = [sys.executable, "-m", "snakemake", "-n", "--cores", "2", "--configfile"]
    os.mkfifo(fresh.root / "pipe.yaml")
    assert "pipe.yaml is a named pipe" in run([*command, "pipe.yaml"], fresh.root, {}, timeout=60).error
    (fresh.root / "tab.yaml").write_text("measurement:\n\trepeats: 2\n", encoding="utf-8")
    assert "tab.yaml, line 2" in run([*command, "tab.yaml"], fresh.root, {}).error


def test_nested_options_of_the_command_line_have_their_kinds(fresh: Project) -> None:
    fresh.study["measurement"]["repeats"] = 5
    text = fresh.dry_run("--config", "measurement={repeats: 2}", "select=[baseline]").text
    assert "run 2 of baseline" in text
    assert "run 3 of baseline" not in text
