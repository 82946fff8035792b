"""Study files with models of the hub: each parses and plans, is pinned to a commit, and fits the machine it is for."""

import re
from pathlib import Path

import pytest

from scripts.hardware import datasheet
from scripts.readiness import memory
from scripts.study import configuration, expected, layers
from scripts.study.plan import Plan

STUDIES = Path(__file__).resolve().parents[3] / "config/studies"
NAMES = ("layers", "hidden", "heads", "kv_heads", "head_dim", "intermediate", "vocabulary", "tied_embeddings")
#: As the models' config.json has them.
SHAPES = {
    "Qwen/Qwen3-0.6B": (28, 1024, 16, 8, 128, 3072, 151936, True),
    "Qwen/Qwen3-4B": (36, 2560, 32, 8, 128, 9728, 151936, True),
    "Qwen/Qwen3-8B": (36, 4096, 32, 8, 128, 12288, 151936, False),
    "HuggingFaceTB/SmolLM2-135M": (30, 576, 9, 3, 64, 1536, 49152, True),
    "HuggingFaceTB/SmolLM2-360M": (32, 960, 15, 5, 64, 2560, 49152, True),
    "HuggingFaceTB/SmolLM2-1.7B": (24, 2048, 32, 32, 64, 8192, 49152, True),
    "google/gemma-3-270m": (18, 640, 4, 1, 256, 2048, 262144, True),
    "google/gemma-3-1b-pt": (26, 1152, 4, 1, 256, 6912, 262144, True),
}
GATED = ("google/", "meta-llama/")
T4 = next(gpu.memory_bytes for gpu in datasheet.devices() if gpu.label.startswith("T4"))
#: Study, bytes of the device that it says it needs, and whether that is a GPU.
MACHINES = {
    "qwen3": (24e9, True), "smollm2": (12e9, True), "gemma-3": (12e9, True), "t4": (T4, True),
    "laptop": (8e9, False),
}  # fmt: skip


@pytest.fixture
def plan_of(tmp_path, monkeypatch):
    """The plan of a study, on a machine with a GPU or without."""
    monkeypatch.chdir(tmp_path)

    def made(name: str, on_gpu: bool) -> Plan:
        study = layers.read([STUDIES / f"{name}.yaml"], [f"measurement={{device: {'cuda' if on_gpu else 'cpu'}}}"])
        techniques = {each.name: each for each in configuration.check(study.config)}
        assert study.left_out == []
        return Plan(study.config, techniques, [])

    def shape(plan: Plan, model: str) -> dict:
        found = dict(zip(NAMES, SHAPES[plan.config["models"][model]["hub"]["id"]], strict=True))
        return found | {"attention_bias": False}

    monkeypatch.setattr(expected, "architecture", shape)
    return made


@pytest.mark.parametrize("name", MACHINES)
def test_a_study_fits_the_machine_that_it_is_for(plan_of, name: str) -> None:
    room, on_gpu = MACHINES[name]
    plan = plan_of(name, on_gpu)
    needs = {each: memory.of_device(plan, technique) for each, technique in plan.techniques.items()}
    assert all(need is not None for need in needs.values())
    largest = max(needs, key=lambda each: needs[each].likely)
    # The estimate leaves activations out; on the CPU the system needs room too.
    assert needs[largest].likely < (0.9 if on_gpu else 0.6) * room, (largest, needs[largest])
    assert {"baseline", "kv_cache", "target_only", "speculative", "graph"} <= set(plan.techniques)


@pytest.mark.parametrize("name", [*MACHINES, "llama-3.2"])
def test_a_study_names_commits_and_what_is_gated(name: str) -> None:
    text = (STUDIES / f"{name}.yaml").read_text(encoding="utf-8")
    models = re.findall(r"id: ([\w./-]+), revision: (\w+)", text)
    assert len(models) >= 2
    assert all(re.fullmatch(r"[0-9a-f]{40}", revision) for _, revision in models)
    assert len({model for model, _ in models}) == len({revision for _, revision in models})
    asks = "HF_TOKEN" in text
    assert asks == any(model.startswith(GATED) for model, _ in models)
    assert asks or "not gated" in text


def test_the_sizes_are_those_that_the_models_have() -> None:
    """As their pages give them; the formula leaves out norms of queries and keys, and further ones."""
    counted = {name: expected.parameters(dict(zip(NAMES, shape, strict=True))) for name, shape in SHAPES.items()}
    assert counted["HuggingFaceTB/SmolLM2-135M"] == 134_515_008
    assert counted["google/gemma-3-1b-pt"] == pytest.approx(999_885_952, rel=1e-3)
    assert counted["Qwen/Qwen3-8B"] == pytest.approx(8.19e9, rel=1e-2)
