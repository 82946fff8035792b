"""What is said of a study before it runs: what can run here, what can't and why, and what it will take."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.inference import distributions, machine
from scripts.readiness import config, page, techniques
from tests.support import hub

ROOT = Path(__file__).resolve().parents[3]
GPU = {"uuid": "GPU-a", "name": "NVIDIA A100", "memory_bytes": 40 * 10**9, "capability": (8, 0), "driver": "1"}
FAST = {"dataset": {"samples": 8}, "measurement": {"device": "auto"}}


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, bool]]:
    """What is printed of a study, as one text, and whether everything can run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def of(study: dict | None = None, gpus: int = 0, cuda: bool = True, **gpu) -> tuple[str, bool]:
        monkeypatch.setattr(machine, "gpus", lambda: [GPU | gpu | {"uuid": f"GPU-{n}"} for n in range(gpus)])
        monkeypatch.setattr(techniques, "built_for_cuda", lambda: cuda)
        (tmp_path / "study.json").write_text(json.dumps(FAST | (study or {})), encoding="utf-8")
        lines, able = page.lines([str(tmp_path / "study.json")], [])
        return " ".join(" ".join(lines).split()), able

    return of


def test_the_built_in_study_can_run_on_any_machine(said) -> None:
    text, able = said()
    assert able
    assert "no NVIDIA GPU to use" in text
    assert "on the CPU." in text
    assert "Can't run" not in text
    assert "nothing has run here yet" in text
    assert "of memory at its peak" in text


def test_the_time_is_that_of_earlier_runs_where_there_are_any(said, tmp_path: Path) -> None:
    study = {"select": ["baseline"], "measurement": {"device": "cpu", "repeats": 2}}
    for run in (1, 2):
        (tmp_path / "results/benchmarks/generate").mkdir(parents=True, exist_ok=True)
        path = tmp_path / f"results/benchmarks/generate/baseline-{run}.jsonl"
        path.write_text(json.dumps({"s": 7200.0}) + "\n", encoding="utf-8")
    text, able = said(study)
    assert able
    assert "about 4 h" in text
    assert "that of earlier runs here for 2 of " in text


def test_a_technique_that_needs_more_gpus_than_there_are_is_named(said) -> None:
    text, able = said({"select": ["baseline", "tensor_parallel"]}, gpus=1)
    assert not able
    assert "Can run (1 of 2): baseline." in text
    assert "Can't run: tensor_parallel. Needs 2 GPUs; this machine has 1 GPU to use. To do: " in text
    assert said({"select": ["baseline", "tensor_parallel"]}, gpus=2)[1]


def test_processes_that_share_cores_among_more_threads_are_named(said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)
    study = {"select": ["baseline", "tensor_parallel"]}
    text, able = said(study | {"measurement": {"threads": 2}})
    assert able
    assert "Share 2 cores among more threads, and may be slow by that: tensor_parallel; lower" in text
    assert "Share 2 cores" not in said(study | {"measurement": {"threads": 1}})[0]


def test_a_torch_without_cuda_is_said(said) -> None:
    text, able = said({"select": ["baseline"]}, gpus=1, cuda=False)
    assert not able
    assert "The installed PyTorch is built without CUDA." in text


OF_KV_CACHE = {
    "fp8 on an older GPU": ({"quantization": "fp8"}, 1, "compute capability 8.9 or above; this one has 8.0"),
    "heads that do not divide": ({"parallel": {"tensor": 3}}, 0, "num_attention_heads of 4 can't be split over 3"),
    "stages without a layer": ({"parallel": {"pipeline": 3}}, 0, "3 pipeline stages need as many layers"),
    "a batch larger than the sample": ({"batch_size": 9}, 0, "batch_size is 9, but there are 8 samples"),
    "shards narrower than a group": (
        {"parallel": {"tensor": 4}, "quantization": "int4_weight_only"}, 0, "is 32 wide here",
    ),
    "shards narrower than a block": ({"parallel": {"tensor": 4}, "quantization": "nf4"}, 0, "o_proj is 32 wide here"),
}  # fmt: skip


@pytest.mark.parametrize("case", OF_KV_CACHE)
def test_a_technique_that_the_machine_or_the_model_does_not_let_run_says_why(said, case: str) -> None:
    facets, gpus, reason = OF_KV_CACHE[case]
    entry = {"extends": "kv_cache"} | facets
    text, able = said({"techniques": {"mine": entry}, "select": ["baseline", "kv_cache", "mine"]}, gpus=gpus)
    assert not able
    assert "Can't run: mine. " in text
    assert reason in text
    assert "leave it out of the study's select" in text


ARCHITECTURES = {
    "gpt2": ({}, "this is a 'gpt2' model."),
    "mixtral": ({"num_local_experts": 4}, "which routes tokens to experts (num_local_experts: 4)."),
    "mamba": ({}, "which keeps a recurrent state instead of keys and values."),
    "gemma3": ({}, "which wraps a text model ('gemma3_text') together with other parts; give the text model alone."),
    "llama": ({"hidden_act": "relu"}, "this LlamaForCausalLM has relu."),
    "qwen3": ({}, None),
    "gemma3_text": ({"hidden_activation": "gelu_pytorch_tanh"}, None),
    "phi3": ({}, None),
}


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_a_model_that_the_graph_engine_does_not_run_is_said_beforehand(said, tmp_path: Path, kind: str) -> None:
    content, reason = ARCHITECTURES[kind]
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps({"model_type": kind} | content), encoding="utf-8")
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / "model" / name).write_text("{}", encoding="utf-8")
    study = {
        "models": {
            "mine": {"source": "path", "dtype": "float32", "seed": 0, "path": {"path": str(tmp_path / "model")}}
        },
        "techniques": {"mine": {"extends": "kv_cache", "model": "mine", "engine": "graph"}},
        "select": ["baseline", "kv_cache", "mine"],
    }
    text, able = said(study)
    assert able == (reason is None)
    assert ("Can't run: mine. The graph engine " in text) == (reason is not None)
    assert reason is None or reason in text


def test_a_missing_library_is_said_once_for_all_that_need_it(said, monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "bitsandbytes" else there(name, *more)
    )
    text, able = said({"select": ["baseline", "kv_cache", "int8", "nf4"]})
    assert not able
    assert "Can't run: int8, nf4. bitsandbytes is not installed; install it with envs/requirements.txt." in text


RANDOM_8B = {"models": {"large": {"source": "random", "dtype": "bfloat16"}}, "select": ["baseline", "target_only"]}


def test_a_model_that_no_device_has_room_for_is_said_and_one_that_is_near_is_a_doubt(said) -> None:
    text, able = said(RANDOM_8B, gpus=1, memory_bytes=12 * 10**9)
    assert not able
    assert "Can't run: target_only. Its weights and cache alone take 16 GB a device; there are 12 GB." in text
    text, able = said(RANDOM_8B, gpus=1, memory_bytes=17 * 10**9)
    assert able
    assert "May fail: target_only needs about 18 GB, and 17 GB are free." in text


def test_a_disk_that_is_too_small_is_said(said, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = page.place.shutil.disk_usage(".")
    monkeypatch.setattr(page.place.shutil, "disk_usage", lambda path: whole._replace(free=10**9))
    text, able = said(RANDOM_8B)
    assert not able
    assert "Problem: The study needs about 16 GB of disk, and 1.0 GB are free." in text


def test_what_a_layer_computes_is_in_the_memory_that_a_study_takes(said) -> None:
    """Long prompts in large batches take memory for activations."""
    one, many = (
        said(RANDOM_8B | {"techniques": {"long": {"extends": "target_only", "batch_size": size, "prompt_tokens": 2000}},
                          "select": ["long"], "dataset": {"samples": 64}}, gpus=1, memory_bytes=141 * 10**9)[0]
        for size in (1, 64)
    )  # fmt: skip

    def memory(text: str) -> float:
        return float(re.search(r"([\d.]+) GB of memory", text.split("The whole study")[1])[1])

    cache = 63 * 2064 * 131_072 / 1e9
    assert memory(many) - memory(one) > cache + 15  # 155 kB of a layer for each of 126,000 positions


def test_the_distributions_that_are_kept_are_in_the_disk_that_a_study_takes(said, monkeypatch) -> None:
    study = {"dataset": {"samples": 104}, "models": {"small": {"train": {"vocabulary": 60_000}}},
             "select": ["baseline", "kv_cache", "pruned", "nf4"]}  # fmt: skip

    def disk() -> float:
        return float(re.search(r"([\d.]+) GB of disk", said(study)[0])[1])

    whole = disk()
    monkeypatch.setattr(distributions, "MAX_BYTES", 0)
    assert whole - disk() == pytest.approx(4 * 64 * 2**20 / 1e9, abs=0.11)


def doctor(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "CUDA_VISIBLE"))}
    return subprocess.run(
        [sys.executable, "-m", "scripts.doctor", *arguments], cwd=folder, capture_output=True, text=True, check=False,
        env=kept | {"PYTHONPATH": str(ROOT), "HF_HOME": str(folder / "cache")} | environment,
    )  # fmt: skip


@pytest.mark.parametrize("gated", [True, False])
def test_a_gated_model_without_a_token_is_told_from_one_that_is_open(tmp_path: Path, gated: bool) -> None:
    """In a process of its own: the hub's client reads its environment when it is imported."""
    repository = hub.Repository(files={"config.json": b"{}", "model.safetensors": b""}, gated=gated)
    large = {"source": "hub", "hub": {"id": "owner/large", "revision": hub.COMMIT}}
    study = {"models": {"large": large}, "select": ["baseline", "target_only"], "measurement": {"device": "cpu"}}
    (tmp_path / "study.json").write_text(json.dumps(study), encoding="utf-8")
    with hub.serve({"owner/large": repository}) as served:
        done = doctor(tmp_path, "--configfile", "study.json", HF_ENDPOINT=served.address)
    text = " ".join(done.stdout.split())
    assert done.returncode == int(gated), done.stderr
    if gated:
        assert "Can't run: target_only. models.large.hub: owner/large is gated; accept its licence" in text
        assert "HF_TOKEN" in text
    else:
        assert "large will be downloaded into the hub's cache first." in text


def test_a_wrong_study_is_one_sentence_and_torch_is_not_needed_for_any_of_it(tmp_path: Path) -> None:
    done = doctor(tmp_path, "--config", "measurement={repeats: many}")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        'error: --config: measurement.repeats is "many", which is not a whole number; correct it.'
    ]
    file = tmp_path / "study.yaml"
    file.touch()
    nowhere = doctor(tmp_path, "--directory", str(file))
    [sentence] = nowhere.stderr.splitlines()  # which may shorten a long path in its middle
    assert sentence.startswith("error: --directory ")
    assert sentence.endswith("/study.yaml is no folder; name one, or leave it out.")
    (tmp_path / "torch.py").write_text("raise SystemExit('torch is imported')", encoding="utf-8")
    done = doctor(tmp_path, "--config", "measurement={device: cpu}", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["llama-3.2-1b", "llama-3.1-8b"])
def test_a_configuration_made_without_transformers_answers_as_transformers_own(name: str) -> None:
    from transformers import AutoConfig

    content = json.loads((ROOT / f"config/architectures/{name}.json").read_text(encoding="utf-8"))
    light, own = config.of(content), AutoConfig.for_model(**content)
    for asked in (
        "model_type", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size",
        "hidden_act", "max_position_embeddings", "hidden_size", "vocab_size",
    ):  # fmt: skip
        assert getattr(light, asked) == getattr(own, asked)
    for plan in ("base_model_tp_plan", "base_model_pp_plan"):
        assert bool(getattr(light, plan)) == bool(getattr(own, plan))
