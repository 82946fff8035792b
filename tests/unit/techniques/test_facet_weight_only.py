"""Weights stored in 8 or 4 bits by the project itself."""

import gc
import weakref

import pytest
import torch
from torch import nn

from scripts.engine.decoder import Decoder
from scripts.inference.loading import load
from scripts.kernels.matrix import quantize
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.layers import linear_layers, stored_shape, stored_weight
from scripts.runtime.models import Process
from scripts.runtime.place import Place
from scripts.runtime.tensors import module_bytes
from scripts.techniques.quantization import layers as methods_layers
from scripts.techniques.quantization.facet import FACET
from scripts.techniques.quantization.weight_only_linear import WeightOnlyLinear, quantised
from tests.support.observations import observation
from tests.support.rank_group import run_group
from tests.support.tiny_checkpoint import make_checkpoint
from tests.support.worker_runs import Run, request, run_worker, settings

CPU = torch.device("cpu")
WEIGHTS = 196608  # of all linear layers of the tiny model
ROWS = 2 * (128 + 64 + 64 + 128 + 128 + 128 + 128)
BYTES = {
    "int8_weight_only": WEIGHTS + 4 * ROWS,
    "int4_weight_only": WEIGHTS // 2 + 2 * 4 * WEIGHTS // 64,
    "fp8": WEIGHTS + 4 * ROWS,
}
STORED = {"int8_weight_only": "int8", "int4_weight_only": "uint8", "fp8": "float8_e4m3fn"}
ERRORS = {"int8_weight_only": (0.003, 0.01), "int4_weight_only": (0.05, 0.1), "fp8": (0.02, 0.03)}


def loaded(checkpoint, method, dtype=torch.float32, **facets):
    return load(checkpoint, settings(quantization=method, **facets), Process(CPU, dtype), None)


@pytest.fixture(scope="module")
def runs(checkpoint, evaluation_set) -> dict[str, Run]:
    return {method: run_worker(checkpoint, evaluation_set, {"quantization": method}) for method in BYTES}


@pytest.mark.parametrize("method", BYTES)
def test_a_method_is_its_own_shorthand(method):
    assert FACET.resolve(method) == FACET.resolve({"method": method}) == {"method": method}


@pytest.mark.parametrize("method", BYTES)
def test_stock_generate_runs_it_and_the_evidence_says_what_it_was(runs, greedy, method):
    facts = runs[method].evidence["quantization"]
    assert facts["module_class"] == "WeightOnlyLinear"
    assert facts["quantized_modules"] == facts["linear_modules"] == 14
    assert facts["stored_dtypes"] == [STORED[method]]
    assert facts["stored_bytes"] == facts["analytic_bytes"] == BYTES[method]
    assert facts["weights"] == WEIGHTS
    assert facts.get("group_size") == (64 if method == "int4_weight_only" else None)
    low, high = ERRORS[method]
    assert low < facts["round_trip_error"] < high
    step, prompt = facts["products"]["decode"], facts["products"]["prompt"]
    assert step["rows"] == 1 < prompt["rows"]
    for product in (step, prompt):
        assert (product["path"], product["inputs"]) == ("torch, dequantised", "float32")
        assert product["error"] < 1e-5
    saved = greedy.outcome["memory"]["weight_bytes"] - runs[method].outcome["memory"]["weight_bytes"]
    assert saved == WEIGHTS * 4 - BYTES[method]


def test_the_fewer_the_bits_the_further_the_text_moves(runs, greedy):
    assert runs["int4_weight_only"].tokens != greedy.tokens
    assert all(0 < len(tokens) <= 12 for run in runs.values() for tokens in run.tokens)


@pytest.mark.parametrize("method", BYTES)
def test_the_graph_engine_writes_what_stock_generate_does(checkpoint, evaluation_set, runs, method):
    run = run_worker(checkpoint, evaluation_set, {"quantization": method, "engine": "graph"})
    assert run.tokens == runs[method].tokens
    # Fused matrices are counted once.
    assert run.evidence["quantization"]["stored_bytes"] == BYTES[method]
    assert run.outcome["memory"]["weight_bytes"] == runs[method].outcome["memory"]["weight_bytes"]


@pytest.mark.parametrize("method", BYTES)
def test_fused_layers_stay_whole_and_take_no_room_of_their_own(checkpoint, method):
    model = loaded(checkpoint, method, torch.bfloat16).model
    tokens = torch.tensor([[5, 6, 7]])
    with torch.inference_mode():
        before, size = model(tokens).logits, module_bytes(model)
        decoder = Decoder(model, 32)
        assert torch.equal(model(tokens).logits, before)
    assert module_bytes(model) == size
    fused, attention = decoder.layers[0].qkv, model.model.layers[0].self_attn
    for layer in (attention.q_proj, attention.k_proj, attention.v_proj):
        assert layer.data.untyped_storage().data_ptr() == fused.data.untyped_storage().data_ptr()


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("method", BYTES)
def test_output_head_and_embeddings_stay_as_they_are(tmp_path, method, tied):
    checkpoint = make_checkpoint(tmp_path / "model", tied=tied)
    whole = load(checkpoint, settings(), Process(CPU, torch.float32), None).model
    model = loaded(checkpoint, method).model
    assert type(model.lm_head) is nn.Linear
    assert torch.equal(model.lm_head.weight, whole.lm_head.weight)
    assert torch.equal(model.model.embed_tokens.weight, whole.model.embed_tokens.weight)
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == tied


@pytest.mark.parametrize("method", BYTES)
def test_a_bias_is_kept_and_added(tmp_path, method):
    checkpoint = make_checkpoint(tmp_path / "biased", bias=True)
    whole = linear_layers(load(checkpoint, settings(), Process(CPU, torch.float32), None).model)
    with torch.no_grad():
        for name, layer in linear_layers(loaded(checkpoint, method).model).items():
            assert (layer.bias is None) == (whole[name].bias is None)
            x = torch.randn(2, 3, layer.in_features)
            expected = nn.functional.linear(x, layer.matrix.dense(torch.float32), whole[name].bias)
            assert torch.allclose(layer(x), expected, atol=1e-4)


@pytest.mark.parametrize("kind", ["int8", "int4", "fp8"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_layer_takes_inputs_of_any_shape_and_answers_in_their_type(kind, dtype):
    layer = quantised(torch.randn(40, 128).to(dtype), None, kind)
    assert (layer.in_features, layer.out_features) == (128, 40)
    x = torch.randn(2, 3, 128).to(dtype)
    with torch.inference_mode():
        y = layer(x)
        assert y.dtype == dtype
        assert y.shape == (2, 3, 40)
        assert torch.allclose(layer(x[0, 0]), y[0, 0], rtol=0.02, atol=0.05)


def test_dense_weights_are_let_go_one_by_one():
    model = nn.Sequential(*(nn.Linear(128, 128, bias=False) for _ in range(4)))
    dense = [weakref.ref(layer.weight) for layer in model]
    alive = []

    def make(name, layer):
        weight = layer.weight.detach()
        gc.collect()
        alive.append(sum(each() is not None for each in dense))
        return quantised(weight, None, "int8")

    methods_layers.replace(model, make)
    assert alive == [4, 3, 2, 1]
    assert all(type(layer) is WeightOnlyLinear for layer in model)


def test_four_bits_need_whole_pairs_of_groups(tmp_path, evaluation_set):
    checkpoint = make_checkpoint(tmp_path / "odd", intermediate=192)
    run = run_worker(checkpoint, evaluation_set, {"quantization": "int4_weight_only"})
    assert run.outcome == {
        "status": "unsupported",
        "reason": "int4 weights need layers whose width is a multiple of 128; model.layers.0.mlp.down_proj is 192 wide "
        "here.",
    }
    assert run_worker(checkpoint, evaluation_set, {"quantization": "int8_weight_only"}).outcome["status"] == "ok"


@pytest.mark.parametrize(("capability", "refused"), [((8, 6), True), ((8, 9), False), ((9, 0), False)])
def test_a_gpu_that_does_not_know_fp8_is_named(capability, refused):
    place = Place("cuda", capability)
    if refused:
        with pytest.raises(UnsupportedError, match=r"capability 8\.9 or above; this one has 8\.6\."):
            FACET.check_machine({"method": "fp8"}, place)
    else:
        FACET.check_machine({"method": "fp8"}, place)
    FACET.check_machine({"method": "int8_weight_only"}, place)


@pytest.mark.parametrize("method", BYTES)
def test_pruned_weights_are_quantised_and_their_zeros_are_found_again(checkpoint, evaluation_set, method):
    pruned = {"pruning": {"amount": 0.5}}
    whole = linear_layers(load(checkpoint, settings(**pruned), Process(CPU, torch.float32), None).model)
    for name, layer in linear_layers(loaded(checkpoint, method, **pruned).model).items():
        zeros = whole[name].weight == 0
        assert not stored_weight(layer)[zeros].any()
        assert stored_shape(layer) == (layer.out_features, layer.in_features)
    run = run_worker(checkpoint, evaluation_set, pruned | {"quantization": method})
    assert run.evidence["pruning"]["sparsity"] >= 0.5
    assert run.evidence["pruning"]["stored_bytes"] == BYTES[method]


def test_channels_that_are_cut_are_quantised_or_the_width_is_named(tmp_path, evaluation_set):
    half = {"pruning": {"method": "structured", "amount": 0.5}}
    checkpoint = make_checkpoint(tmp_path / "wide", intermediate=256)
    for method in BYTES:
        run = run_worker(checkpoint, evaluation_set, half | {"quantization": method})
        assert run.evidence["pruning"]["channels_after"] == 128
    fewer = half | {"pruning": {"method": "structured", "amount": 0.25}, "quantization": "int4_weight_only"}
    assert "down_proj is 192 wide" in run_worker(checkpoint, evaluation_set, fewer).outcome["reason"]


@pytest.mark.parametrize("method", BYTES)
def test_one_layer_of_another_method_is_found(checkpoint, method):
    kept = loaded(checkpoint, method)
    other = "int8" if method == "fp8" else "fp8"
    kept.model.model.layers[1].mlp.up_proj = quantised(torch.randn(128, 128), None, other)
    with pytest.raises(EvidenceError, match="but 14 are, stored as "):
        FACET.evidence(FACET.resolve(method), kept, observation())


def test_one_layer_of_other_numbers_is_found(checkpoint):
    kept = loaded(checkpoint, "int8_weight_only")
    layer = kept.model.model.layers[1].mlp.up_proj
    layer.scales = layer.scales * 2
    with pytest.raises(EvidenceError, match=r"rounds weights by up to 10\.0%, but layers of int8 are "):
        FACET.evidence({"method": "int8_weight_only"}, kept, observation())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("method", BYTES)
def test_models_of_two_bytes_prove_it_too(checkpoint, method, dtype):
    facts = FACET.evidence({"method": method}, loaded(checkpoint, method, dtype), observation())
    assert facts["products"]["prompt"]["inputs"] == str(dtype).removeprefix("torch.")


@pytest.mark.parametrize("method", BYTES)
def test_inputs_of_eight_bits_are_told_and_taken_for_fp8_alone(checkpoint, monkeypatch, method):
    """As the tensor cores multiply many rows in fp8."""

    def forward(self, x):
        rounded = quantize(x, "fp8").dense(torch.float32)
        return nn.functional.linear(rounded, self.matrix.dense(torch.float32)).to(x.dtype)

    kept = loaded(checkpoint, method, torch.bfloat16)
    monkeypatch.setattr(WeightOnlyLinear, "forward", forward)
    if method == "fp8":
        facts = FACET.evidence({"method": method}, kept, observation())
        assert {each["inputs"] for each in facts["products"].values()} == {"float8_e4m3fn"}
    else:
        with pytest.raises(EvidenceError, match="multiplies the stored weights, but a product is"):
            FACET.evidence({"method": method}, kept, observation())


PARALLEL = {
    "tensor": {"parallel": {"tensor": 2}, "quantization": "int8_weight_only"},
    "narrow": {"parallel": {"tensor": 2}, "quantization": "int4_weight_only"},
    "pipeline": {"parallel": {"pipeline": 2}, "quantization": "int4_weight_only"},
}


@pytest.fixture(scope="module")
def groups(checkpoint, evaluation_set, tmp_path_factory):
    requests = {name: request(checkpoint, evaluation_set, way, processes=2) for name, way in PARALLEL.items()}
    return run_group(requests, tmp_path_factory.mktemp("group"))


def test_shards_are_quantised_where_they_lie(groups):
    for run in groups["tensor"]:
        facts = run.evidence["quantization"]
        assert facts["quantized_modules"] == facts["linear_modules"] == 14
        # Rows that are split over their columns have a scale on both ranks.
        assert BYTES["int8_weight_only"] / 2 < facts["stored_bytes"] < BYTES["int8_weight_only"] / 2 * 1.02
        assert run.evidence["parallel"]["sharded_modules"] == 14
        assert run.evidence["parallel"]["first_layer_shards"]["model.layers.0.mlp.down_proj"] == {
            "shard": [128, 64],
            "whole": [128, 128],
        }
    assert all(len(tokens) > 0 for tokens in groups["tensor"][0].tokens)


def test_a_shard_too_narrow_for_four_bits_is_named(groups):
    for run in groups["narrow"]:
        assert run.outcome["status"] == "unsupported"
        assert "self_attn.o_proj is 64 wide here." in run.outcome["reason"]


def test_stages_write_what_one_process_does(groups, runs):
    assert groups["pipeline"][0].tokens == runs["int4_weight_only"].tokens
    held = [run.evidence["quantization"]["stored_bytes"] for run in groups["pipeline"]]
    assert sum(held) == BYTES["int4_weight_only"]


def test_shards_with_a_bias_are_refused_rather_than_adding_it_twice():
    layer = nn.Linear(128, 128, bias=True)
    layer.weight.to_local = lambda: layer.weight
    with pytest.raises(UnsupportedError, match="no bias, but 0 has one"):
        methods_layers.replace(nn.Sequential(layer), lambda name, layer: quantised(torch.randn(128, 128), None, "int8"))
