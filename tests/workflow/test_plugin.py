"""A plugin from outside the project: its facet, method, source, metric and section are all in a finished report."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from tests.workflow.project import Project

pytestmark = pytest.mark.slow
PLUGIN = Path(__file__).parents[1] / "support" / "plugin"
RANDOM = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 400, "hidden_size": 32,
    "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}  # fmt: skip
STUDY = {
    "title": "With a plugin",
    "dataset": {"source": "counted", "counted": {"rows": 300}, "samples": 4},
    "models": {
        "small": {"source": "random", "random": {"architecture": "tiny.json", "vocabulary": 400}, "dtype": "float32"},
    },
    "generation": {"max_new_tokens": 6},
    "measurement": {
        "warmup": 1, "repeats": 1, "fixed": {"new_tokens": 4, "samples": 2}, "device": "cpu", "reference": "none",
    },
    "techniques": {
        "paused": {"label": "Paused", "extends": "kv_cache", "pause": 20},
        "rounded": {"label": "Rounded", "extends": "kv_cache", "quantization": "bf16_rounded"},
    },
    "select": ["baseline", "kv_cache", "paused", "rounded"],
}  # fmt: skip


@pytest.fixture(scope="module")
def plugged(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished study that uses a copy of the plugin."""
    folder = tmp_path_factory.mktemp("plugged")
    shutil.copytree(PLUGIN, folder / "mine", ignore=shutil.ignore_patterns("__pycache__"))
    project = Project.create(folder / "project")
    (project.root / "tiny.json").write_text(json.dumps(RANDOM), encoding="utf-8")
    project.study = STUDY | {"plugins": [str(folder / "mine")]}
    outcome = project.snakemake("--set-threads", "generate=1", "prepare_model=1")
    assert outcome.status == 0, outcome.text
    return project


def test_all_that_a_plugin_adds_is_in_the_report(plugged: Project) -> None:
    results = plugged.root / "results"
    comparison = json.loads((results / "comparison.json").read_text(encoding="utf-8"))
    techniques = {technique["name"]: technique for technique in comparison["techniques"]}
    assert {name: technique["status"] for name, technique in techniques.items()} == dict.fromkeys(STUDY["select"], "ok")
    assert techniques["paused"]["evidence"]["pause"]["milliseconds"] == 20
    rounded = techniques["rounded"]["evidence"]["quantization"]
    assert rounded["rounded_layers"] == rounded["linear_layers"] > 0
    assert json.loads((results / "dataset/manifest.json").read_text(encoding="utf-8"))["source"] == "counted"
    with (results / "comparison.csv").open(encoding="utf-8") as table:
        assert all(float(row["headline_characters"]) > 0 for row in csv.DictReader(table))
    page = (results / "report.html").read_text(encoding="utf-8")
    for shown in (
        "It waits 20 ms before each forward pass",
        "Weights are rounded to bfloat16 and kept in their own dtype.",
        "Characters of a headline, spaces among them.",
        '<details id="characters"',
    ):
        assert shown in page, shown


def test_a_change_of_a_plugin_reruns_what_uses_it(plugged: Project) -> None:
    mine = Path(plugged.study["plugins"][0])

    def replaced(path: str, old: str, new: str) -> set[str]:
        """Jobs that a change of a file plans; the file is put back."""
        file = mine / path
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")
        try:
            return {job for job in plugged.plan() if job.partition(":")[0] in ("generate", "render", "score")}
        finally:
            file.write_text(text, encoding="utf-8")

    facet = "scripts/techniques/pause/facet.py"
    assert replaced(facet, "value / 1000", "value / 999") == {"generate:paused", "score:paused", "render"}
    assert replaced(facet, "Wait in a hook", "Sleep in a hook") == set()
    assert replaced("scripts/techniques/pause/words.yaml", "It waits", "It sleeps") == {"render"}
    method = "scripts/techniques/quantization/bf16_rounded/method.py"
    assert "generate:rounded" in replaced(method, ".bfloat16().to", ".bfloat16().clone().to")
