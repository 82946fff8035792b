"""Each facet on an NVIDIA GPU: what the tests of the facets say for CPUs, and what is different there."""

import argparse
from pathlib import Path

import pytest
import torch

from scripts import generate
from scripts.foundation import files
from scripts.inference import leases, machine
from scripts.inference.memory import MemoryMeter
from scripts.metrics import memory
from scripts.metrics.runs import Run
from tests.support.tiny_checkpoint import make_checkpoint, make_tokenizer
from tests.support.worker_runs import GENERATION, run_worker, settings

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU; there is none here"),
]
MB = 1 << 20
ROOT = Path(__file__).resolve().parents[3]
# Wide enough for a difference of weights to show in the allocator's figures.
WIDE = {"layers": 4, "intermediate": 8192}


def gpus_needed(count):
    return pytest.mark.skipif(torch.cuda.device_count() < count, reason=f"needs {count} NVIDIA GPUs")


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("checkpoints") / "wide", **WIDE)


@pytest.fixture(scope="module")
def on_gpu(wide, evaluation_set):
    """``on_gpu(facets)`` runs a technique on the first GPU; in float32, where tokens must agree."""
    return lambda facets, **options: run_worker(wide, evaluation_set, facets, device="cuda", **options)


@pytest.fixture(scope="module")
def plain(on_gpu):
    return on_gpu({})


def test_a_gpu_is_measured_by_its_allocator(plain):
    facts = plain.outcome["memory"]
    assert facts["method"] == "cuda_allocator"
    assert facts["device"].startswith("cuda:0 NVIDIA")
    loaded = facts["after_load_allocated_bytes"] - facts["before_load_allocated_bytes"]
    assert loaded == pytest.approx(facts["weight_bytes"], rel=0.05)
    assert facts["before_load_bytes"] + facts["peak_bytes"] == facts["reserved_peak_bytes"]
    assert facts["reserved_peak_bytes"] >= facts["allocated_peak_bytes"] >= facts["after_load_allocated_bytes"]


def test_what_was_freed_before_a_reset_is_not_in_the_later_peak():
    meter = MemoryMeter(torch.device("cuda", 0))
    meter.reset_peak()
    before = meter.current()
    tensor = torch.empty(512 * MB, dtype=torch.uint8, device="cuda")
    del tensor
    assert meter.peak() >= before + 512 * MB
    meter.reset_peak()
    assert meter.peak() < before + 64 * MB


LOSSLESS = [
    {"kv_cache": "none"},
    {"speculation": {"prompt_lookup": 4}},
    {"engine": "transformers_static"},
    {"engine": "transformers_continuous", "batch_size": 3},
    {"engine": "graph"},
    {"engine": {"name": "graph", "shared_prefix": True}},
    {"engine": "graph", "batch_size": 2},
    {"engine": "graph", "speculation": {"prompt_lookup": 4}},
]


@pytest.mark.parametrize("facets", LOSSLESS, ids=str)
def test_lossless_facets_write_the_same_tokens(on_gpu, plain, facets):
    run = on_gpu(facets)
    assert set(run.evidence) >= set(facets)
    assert run.tokens == plain.tokens


@pytest.mark.parametrize("engine", ["transformers", "graph"])
def test_speculation_writes_the_targets_tokens(on_gpu, plain, wide, engine):
    run = on_gpu({"speculation": {"draft": "draft", "tokens": 4}, "engine": engine}, draft=wide)
    assert run.tokens == plain.tokens
    assert run.evidence["speculation"]["acceptance_rate"] == 1.0


@pytest.mark.parametrize("method", ["int8_weight_only", "int4_weight_only", "nf4"])
@pytest.mark.parametrize("engine", ["transformers", "graph"])
def test_a_quantised_draft_changes_no_token(on_gpu, plain, wide, engine, method):
    drafted = {"draft": "draft", "tokens": 4, "draft_quantization": method}
    run = on_gpu({"speculation": drafted, "engine": engine}, draft=wide)
    assert run.tokens == plain.tokens
    facts = run.evidence["speculation"]
    assert facts["acceptance_rate"] > 0
    assert facts["draft_quantization"]["quantized_modules"] == 28
    assert run.outcome["memory"]["weight_bytes"] < 1.5 * plain.outcome["memory"]["weight_bytes"]


def test_steps_are_recorded_and_nothing_is_allocated_while_timed(on_gpu):
    facts = on_gpu({"engine": "graph"}).evidence["engine"]
    assert facts["device_graphs"] > 1  # the step, and a prompt's bucket at least
    assert facts["recorded_while_timed"] == facts["device_allocations_per_batch"] == 0


def test_the_static_cache_of_transformers_is_compiled(on_gpu):
    assert on_gpu({"engine": "transformers_static"}).evidence["engine"]["compiled_graphs"] > 0


@pytest.mark.parametrize("facets", [{}, {"kv_cache": "none"}, {"speculation": {"prompt_lookup": 4}}])
def test_times_end_after_the_last_token(on_gpu, facets):
    for sample in on_gpu(facets).samples:
        assert len(sample["token_times_s"]) == sample["new_tokens"]
        assert sample["token_times_s"] == sorted(sample["token_times_s"])
        assert 0 < sample["ttft_s"] <= sample["token_times_s"][-1] <= sample["latency_s"]


def test_pruned_weights_are_zero_and_take_as_much_room(on_gpu, plain):
    run = on_gpu({"pruning": {"amount": 0.5}})
    assert run.evidence["pruning"]["sparsity"] == pytest.approx(0.5, abs=1e-6)
    assert run.outcome["memory"]["weight_bytes"] == plain.outcome["memory"]["weight_bytes"]


@pytest.mark.parametrize(("method", "share"), [("int8", 0.3), ("nf4", 0.2)])
def test_quantised_weights_are_small_in_the_allocator_too(on_gpu, plain, method, share):
    run = on_gpu({"quantization": method})
    facts = run.evidence["quantization"]
    assert facts["quantized_modules"] == facts["linear_modules"] == 28
    assert facts["stored_bytes"] < share * facts["weights"] * 4

    def held(outcome):
        return outcome["memory"]["after_load_allocated_bytes"] - outcome["memory"]["before_load_allocated_bytes"]

    assert held(run.outcome) < 0.5 * held(plain.outcome)


@pytest.mark.parametrize(("method", "share"), [("int8_weight_only", 0.3), ("int4_weight_only", 0.2), ("fp8", 0.3)])
def test_a_decode_step_multiplies_stored_weights_without_writing_them_out(on_gpu, method, share):
    run = on_gpu({"quantization": method})
    if run.outcome["status"] == "unsupported":
        pytest.skip(run.outcome["reason"])
    facts = run.evidence["quantization"]
    assert facts["stored_bytes"] < share * facts["weights"] * 4
    assert facts["products"]["decode"]["path"] == "triton kernel"


def test_pruned_weights_stay_zero_when_they_are_quantised(on_gpu):
    run = on_gpu({"quantization": "nf4", "pruning": {"amount": 0.5}})
    assert 0.5 <= run.evidence["pruning"]["sparsity"] < 0.6


def parent(checkpoint, dataset, **facets):
    """A run with a parent, which leases the GPUs, and real workers."""
    return generate.run(
        argparse.Namespace(
            technique="tested", run=1, settings=settings(**facets), generation=dict(GENERATION),
            target=checkpoint / "manifest.json", draft=None, dataset=dataset, rows=None,
            fixed={"new_tokens": 4, "samples": 0}, warmup=1, threads=1,
            device="cuda", output=None, reference=None, reference_technique=None,
        )
    )  # fmt: skip


def test_a_run_leases_a_gpu_and_gives_it_back(wide, evaluation_set, plain):
    outcome, samples = parent(wide, evaluation_set)
    assert outcome["status"] == "ok"
    assert [sample["token_ids"] for sample in samples["natural"]] == plain.tokens
    devices = [gpu["uuid"] for gpu in machine.gpus()]
    assert set(outcome["leased_gpus"]) <= set(devices)
    assert len(outcome["leased_gpus"]) == 1
    with leases.lease(devices, len(devices)):
        pass


def test_more_ranks_than_gpus_is_a_row_that_says_so(wide, evaluation_set):
    outcome, samples = parent(wide, evaluation_set, parallel={"tensor": 64})
    assert outcome["status"] == "unsupported"
    assert outcome["reason"].startswith("Needs 64 GPUs; this machine has ")
    assert samples["natural"] == []


@pytest.fixture(scope="module")
def one_billion(tmp_path_factory):
    """The shape of Llama-3.2-1B in bfloat16 with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    directory = tmp_path_factory.mktemp("checkpoints") / "1b"
    tokenizer = make_tokenizer()
    shape = files.read_json(ROOT / "config/architectures/llama-3.2-1b.json")
    special = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = LlamaConfig(**(shape | special | {"pad_token_id": tokenizer.pad_token_id}))
    torch.manual_seed(0)
    with torch.device("cuda"):
        model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    manifest = {
        "source": "random",
        "random_weights": True,
        "path": ".",
        "parameters": model.num_parameters(),
        "dtype": "bfloat16",
    }
    files.write_json(directory / "manifest.json", manifest)
    del model
    torch.cuda.empty_cache()
    return directory


@pytest.mark.parametrize(
    "facets",
    [
        {},
        {"engine": "transformers_static"},
        {"engine": "graph"},
        {"engine": "graph", "quantization": "int8_weight_only"},
    ],
)
def test_the_parts_explain_the_whole_process(one_billion, evaluation_set, facets):
    """Weights, cache, pools, activations, rounding and context make up what NVML shows, but for 5%."""
    outcome, _ = parent(one_billion, evaluation_set, **facets)
    assert outcome["status"] == "ok", outcome["reason"]
    (device,) = outcome["memory"]["devices"]
    run = Run(Path("run-1"), outcome, [])
    (row,) = memory.anatomy([run])
    print(facets, {key: value / 1e6 for key, value in (device | row).items() if isinstance(value, int | float)})
    assert memory.unexplained([run]) < memory.TOLERANCE, row
    assert device["process_peak_bytes"] > device["reserved_peak_bytes"] >= device["allocated_peak_bytes"]
    assert memory.smallest_gpu([run])["needed_bytes"] == device["process_peak_bytes"]
    if facets.get("engine") == "graph":
        assert device["graph_pool_bytes"] > 0
        named = device["weight_bytes"] + device["kv_cache_bytes"] + device["graph_pool_bytes"]
        assert device["reserved_peak_bytes"] >= named


@gpus_needed(2)
@pytest.mark.parametrize("engine", ["transformers", "graph"])
@pytest.mark.parametrize("way", ["tensor", "pipeline"])
def test_two_gpus_write_the_tokens_of_one_and_share_the_weights(wide, evaluation_set, plain, way, engine):
    outcome, samples = parent(wide, evaluation_set, parallel={way: 2}, engine=engine)
    assert outcome["status"] == "ok", outcome["reason"]
    assert [sample["token_ids"] for sample in samples["natural"]] == plain.tokens
    assert len(set(outcome["leased_gpus"])) == 2
    whole = plain.outcome["memory"]["weight_bytes"]
    assert all(device["weight_bytes"] < 0.6 * whole for device in outcome["memory"]["devices"])
    assert len(outcome["evidence"]["parallel"]["ranks"]) == 2


@gpus_needed(2)
def test_shards_are_quantised_on_two_gpus(wide, evaluation_set):
    outcome, _ = parent(wide, evaluation_set, parallel={"tensor": 2}, quantization="nf4")
    assert outcome["status"] == "ok", outcome["reason"]
    assert outcome["evidence"]["quantization"]["quantized_modules"] == 28
