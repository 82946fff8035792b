import importlib.util

import pytest
import torch
from torch import nn

from scripts.foundation.errors import StudyError
from scripts.inference.loading import load
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.layers import linear_layers
from scripts.runtime.models import Process
from scripts.runtime.tensors import module_bytes
from scripts.techniques.quantization.facet import FACET
from scripts.techniques.quantization.nf4 import method as nf4
from tests.support.observations import observation
from tests.support.tiny_checkpoint import make_checkpoint
from tests.support.worker_runs import Run, run_worker, settings

FLOAT_BYTES = 196608 * 4  # of all linear layers of the tiny model
CLASSES = {"int8": ("Linear8bitLt", "int8"), "nf4": ("Linear4bit", "uint8")}
# int8: one byte a weight and a scale a row; nf4: half a byte a weight and a scale a block of 64.
SHARE = {"int8": 0.27, "nf4": 0.15}


def loaded(checkpoint, dtype=torch.float32, **facets):
    return load(checkpoint, settings(**facets), Process(torch.device("cpu"), dtype), None)


@pytest.fixture(scope="module")
def runs(checkpoint, evaluation_set) -> dict[str, Run]:
    return {method: run_worker(checkpoint, evaluation_set, {"quantization": method}) for method in CLASSES}


def test_values_are_spelled_out():
    assert FACET.resolve("int8") == {"method": "int8", "threshold": 6.0}
    assert FACET.resolve("nf4") == {"method": "nf4", "double_quantization": False, "compute_dtype": "model"}
    assert FACET.resolve({"method": "int8", "threshold": 0}) == {"method": "int8", "threshold": 0}
    assert FACET.resolve("none") is FACET.resolve(None) is None


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (
            "int4",
            "quantization method 'int4' does not exist; use 'none', 'fp8', 'int4_weight_only', 'int8', "
            "'int8_weight_only' or 'nf4'.",
        ),
        ({"method": "fp8", "threshold": 6.0}, "'fp8' has no option 'threshold'; it has method."),
        ({"threshold": 3.0}, "quantization method None does not exist"),
        (
            {"method": "int8", "double_quantization": True},
            "'int8' has no option 'double_quantization'; it has method, ",
        ),
        ({"method": "int8", "compute_dtype": "float32"}, "'int8' has no option 'compute_dtype'"),
        ({"method": "nf4", "threshold": 6.0}, "'nf4' has no option 'threshold'; it has method, double_quantization"),
    ],
)
def test_what_a_method_does_not_have_is_refused(value, sentence):
    with pytest.raises(StudyError) as error:
        FACET.resolve(value)
    assert sentence in str(error.value)


@pytest.mark.parametrize("method", CLASSES)
def test_every_linear_layer_is_quantised_and_the_evidence_says_so(runs, method):
    facts = runs[method].evidence["quantization"]
    name, dtype = CLASSES[method]
    assert facts["module_class"] == name
    assert facts["quantized_modules"] == facts["linear_modules"] == 14
    assert facts["stored_dtypes"] == [dtype]
    assert facts["weights"] == 196608
    assert facts["stored_bytes"] < SHARE[method] * FLOAT_BYTES
    assert facts["bitsandbytes"]


def test_the_evidence_has_the_settings_as_the_layers_have_them(runs):
    int8, nf4 = (runs[method].evidence["quantization"] for method in ("int8", "nf4"))
    assert (int8["threshold"], int8["compute_dtype"]) == (6.0, "float16")
    assert (nf4["quant_type"], nf4["block_size"], nf4["double_quantization"]) == ("nf4", 64, False)
    assert nf4["compute_dtype"] == "float32"
    # Some processors compute in another type than the layer says.
    assert nf4["product_dtype"] == ("bfloat16" if nf4["repacked_for_cpu"] else "float32")


@pytest.mark.parametrize("method", CLASSES)
def test_the_bytes_are_those_that_the_method_defines(runs, method):
    facts = runs[method].evidence["quantization"]
    rows = 2 * (128 + 64 + 64 + 128 + 128 + 128 + 128)
    scale = 2 if facts.get("repacked_for_cpu") else 4
    expected = {"int8": 196608 + 4 * rows, "nf4": 196608 // 2 + scale * 196608 // 64 + 14 * 64}[method]
    assert facts["analytic_bytes"] == expected
    assert facts["stored_bytes"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("doubled", [False, True])
def test_the_definitions_bytes_are_those_of_freshly_packed_layers(tmp_path, doubled):
    checkpoint = make_checkpoint(tmp_path / "wide", intermediate=1024)
    asked = {"method": "nf4", "double_quantization": doubled}
    for layer in linear_layers(loaded(checkpoint, quantization=asked).model).values():
        assert nf4.METHOD.analytic_bytes(layer) == module_bytes(layer)


def test_rows_that_a_cpu_cannot_group_are_unsupported():
    import bitsandbytes as bnb

    layer = bnb.nn.Linear4bit(64, 40, bias=False, quant_type="nf4").to("cpu")
    model, process = nn.ModuleDict({"odd": layer}), Process(torch.device("cpu"), torch.float32)
    layer.support_avx512bf16_for_cpu = False
    nf4.METHOD.check_layers(model, process)
    layer.support_avx512bf16_for_cpu = True
    with pytest.raises(UnsupportedError, match="32 rows at a time; odd has 40 here"):
        nf4.METHOD.check_layers(model, process)


@pytest.mark.parametrize("method", CLASSES)
def test_the_memory_that_is_reported_shrinks_by_what_the_layers_save(runs, greedy, method):
    saved = greedy.outcome["memory"]["weight_bytes"] - runs[method].outcome["memory"]["weight_bytes"]
    assert saved == FLOAT_BYTES - runs[method].evidence["quantization"]["stored_bytes"]


@pytest.mark.parametrize("method", CLASSES)
def test_the_output_is_another_but_not_a_broken_one(runs, greedy, method):
    assert runs[method].tokens != greedy.tokens
    assert all(0 < len(tokens) <= 12 for tokens in runs[method].tokens)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("method", CLASSES)
def test_output_head_and_embeddings_stay_as_they_are(tmp_path, method, tied):
    checkpoint = make_checkpoint(tmp_path / "model", tied=tied)
    whole, model = loaded(checkpoint).model, loaded(checkpoint, quantization=method).model
    assert type(model.lm_head) is nn.Linear
    assert torch.equal(model.lm_head.weight, whole.lm_head.weight)
    assert torch.equal(model.model.embed_tokens.weight, whole.model.embed_tokens.weight)
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == tied


def test_weights_are_near_the_float_ones(checkpoint):
    """Not a random model of the right classes."""
    from scripts.runtime.layers import stored_weight

    whole = linear_layers(loaded(checkpoint).model)
    for name, layer in linear_layers(loaded(checkpoint, quantization="nf4").model).items():
        expanded = stored_weight(layer).reshape(whole[name].weight.shape)
        error = (expanded - whole[name].weight).norm() / whole[name].weight.norm()
        assert error < 0.12


def test_double_quantisation_stores_smaller_scales(tmp_path, evaluation_set):
    # Wide enough for the saved scales to outweigh the second code book.
    checkpoint = make_checkpoint(tmp_path / "wide", intermediate=1024)
    doubled = {"method": "nf4", "double_quantization": True}
    plain = linear_layers(loaded(checkpoint, quantization="nf4").model)
    double = linear_layers(loaded(checkpoint, quantization=doubled).model)
    assert all(layer.weight.quant_state.nested for layer in double.values())
    name = "model.layers.0.mlp.down_proj"
    assert module_bytes(double[name]) < module_bytes(plain[name])
    run = run_worker(checkpoint, evaluation_set, {"quantization": doubled})
    assert run.evidence["quantization"]["quantized_modules"] == 14


def test_options_reach_the_layers(checkpoint):
    for threshold in (6.0, 2.5):
        model = loaded(checkpoint, quantization={"method": "int8", "threshold": threshold}).model
        assert {layer.state.threshold for layer in linear_layers(model).values()} == {threshold}
    for asked, dtype in (("model", torch.bfloat16), ("float32", torch.float32)):
        model = loaded(checkpoint, torch.bfloat16, quantization={"method": "nf4", "compute_dtype": asked}).model
        assert {layer.compute_dtype for layer in linear_layers(model).values()} == {dtype}


@pytest.mark.parametrize("method", CLASSES)
def test_a_load_that_silently_stays_float_is_invalid(checkpoint, evaluation_set, monkeypatch, method):
    monkeypatch.setattr(type(FACET), "load_options", lambda *arguments: {})
    monkeypatch.setattr(type(FACET), "after_load", lambda *arguments: None)
    run = run_worker(checkpoint, evaluation_set, {"quantization": method})
    assert run.outcome["status"] == "invalid"
    name, dtype = CLASSES[method]
    assert run.outcome["reason"] == (
        f"quantization '{method}' asks for 14 layers of {name} stored as {dtype}, but 0 are, stored as nothing."
    )


@pytest.mark.parametrize("method", CLASSES)
def test_one_layer_left_in_float_is_found(checkpoint, method):
    kept = loaded(checkpoint, quantization=method)
    kept.model.model.layers[1].mlp.up_proj = nn.Linear(128, 128, bias=False)
    seen = observation()
    with pytest.raises(EvidenceError, match="but 13 are"):
        FACET.evidence(FACET.resolve(method), kept, seen)


def test_a_width_that_blocks_do_not_divide_is_unsupported_on_a_cpu(tmp_path, evaluation_set):
    checkpoint = make_checkpoint(tmp_path / "odd", intermediate=96)
    run = run_worker(checkpoint, evaluation_set, {"quantization": "nf4"})
    assert run.outcome["status"] == "unsupported"
    assert "blocks of 64; model.layers.0.mlp.down_proj is 96 wide" in run.outcome["reason"]


def test_without_bitsandbytes_the_technique_is_unsupported(checkpoint, evaluation_set, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "bitsandbytes" else find(name))
    run = run_worker(checkpoint, evaluation_set, {"quantization": "int8"})
    assert run.outcome["status"] == "unsupported"
    assert run.outcome["reason"].startswith("bitsandbytes is not installed")


def test_shards_with_a_bias_are_refused_rather_than_losing_it(tmp_path):
    model = loaded(make_checkpoint(tmp_path / "biased", bias=True)).model
    with pytest.raises(UnsupportedError, match=r"no bias, but model\.layers\.0\.self_attn\.q_proj has one"):
        nf4.METHOD.quantize_shards(FACET.resolve("nf4"), model, Process(torch.device("cpu"), torch.float32))
