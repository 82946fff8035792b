"""Checkpoints that are already quantised: read dequantised, and their 4-bit steps kept by the project's own layers."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from scripts import prepare_model
from scripts.foundation import files
from scripts.foundation.errors import StudyError
from scripts.inference.loading import load
from scripts.models import checkpoint as checkpoints
from scripts.models.packed import forms
from scripts.models.packed.tensors import PackedTensors
from scripts.runtime.errors import UnsupportedError
from scripts.runtime.layers import linear_layers
from scripts.runtime.models import Process
from tests.support import packed_checkpoint
from tests.support.packed_checkpoint import CONFIGS, FOUR_BIT
from tests.support.rank_group import run_group
from tests.support.tiny_checkpoint import make_checkpoint
from tests.support.worker_runs import request, run_worker, settings

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def made(checkpoint, tmp_path_factory):
    """Makes a checkpoint of a form, and its dequantised twin, once."""
    directory, pairs = tmp_path_factory.mktemp("packed"), {}

    def pair(name):
        if name not in pairs:
            pairs[name] = packed_checkpoint.make(checkpoint, directory, name)
        return pairs[name]

    return pair


def loaded(directory, dtype=torch.float32, **facets):
    return load(directory, settings(**facets), Process(CPU, dtype), None)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_form_is_read_as_the_weights_that_it_stands_for(made, name):
    packed, twin = made(name)
    weights = loaded(packed).model.state_dict()
    for key, dense in load_file(twin / "model.safetensors").items():
        torch.testing.assert_close(weights[key], dense, rtol=1e-6, atol=1e-8)
    assert loaded(packed, torch.bfloat16).model.dtype == torch.bfloat16


@pytest.mark.parametrize("name", CONFIGS)
def test_a_manifest_counts_weights_and_not_words_or_scales(made, tmp_path, name):
    packed, twin = made(name)
    given = {"source": "path", "path": {"path": str(packed)}, "dtype": "float32", "seed": 0}
    manifest = prepare_model.prepare("mine", given, tmp_path / "out")
    assert manifest["parameters"] == checkpoints.parameters(twin)
    file = packed / "model.safetensors"
    assert 0 < file.stat().st_size - manifest["stored"]["bytes"] < 10_000  # of its header
    assert str(CONFIGS[name].get("bits", 8 if name in ("int8", "float8", "fp8") else 4)) in manifest["stored"]["form"]


@pytest.mark.parametrize("name", FOUR_BIT)
def test_4_bit_layers_hold_the_checkpoints_own_steps(made, evaluation_set, name):
    packed, twin = made(name)
    own = loaded(packed, quantization="int4_weight_only")
    dense = load_file(twin / "model.safetensors")
    for layer, module in linear_layers(own.model).items():
        torch.testing.assert_close(module.matrix.dense(torch.float32), dense[f"{layer}.weight"], rtol=1e-5, atol=1e-7)
    expected = run_worker(twin, evaluation_set, {})
    for engine in ("transformers", "graph"):
        run = run_worker(packed, evaluation_set, {"quantization": "int4_weight_only", "engine": engine})
        assert run.tokens == expected.tokens
        facts = run.evidence["quantization"]
        assert facts["layers_from_checkpoint"] == facts["linear_modules"] == 14
        assert facts["round_trip_error"] < 1e-6
        assert facts["stored_bytes"] == facts["analytic_bytes"] < facts["weights"]  # below a byte a weight
        assert facts["checkpoint_form"] == forms.of_stored(CONFIGS[name], "").label


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gptq_order", "its columns lie in order of activation, so that those of a group are scattered"),
        ("gptq_small", "its groups have 32 columns, and those of the project's layers 64"),
    ],
)
def test_4_bit_groups_that_do_not_fit_are_refused_and_read_dequantised(made, evaluation_set, name, reason):
    packed, twin = made(name)
    with pytest.raises(UnsupportedError, match=f"don't fit 4-bit layers here: {reason}; without quantization they are"):
        loaded(packed, quantization="int4_weight_only")
    assert run_worker(packed, evaluation_set, {}).tokens == run_worker(twin, evaluation_set, {}).tokens


def test_columns_out_of_order_that_the_configuration_hides_are_found(made, tmp_path):
    packed = shutil.copytree(made("gptq_order")[0], tmp_path / "copy")
    stored = CONFIGS["gptq_order"] | {"desc_act": False}
    files.write_json(packed / "config.json", files.read_json(packed / "config.json") | {"quantization_config": stored})
    with pytest.raises(UnsupportedError, match=r"scatters those of model\.layers\.0\.self_attn\.q_proj over the row"):
        loaded(packed, quantization="int4_weight_only")


@pytest.mark.slow
def test_what_changes_weights_works_on_the_dequantised_ones(made, evaluation_set):
    packed, twin = made("awq")
    for facets in (
        {"quantization": "nf4"}, {"quantization": "int8_weight_only"},
        {"pruning": {"method": "magnitude", "amount": 0.3}},
        {"pruning": {"method": "structured", "amount": 0.5}},
        {"pruning": {"method": "magnitude", "amount": 0.3}, "quantization": "int4_weight_only"},
    ):  # fmt: skip
        run = run_worker(packed, evaluation_set, facets)
        assert run.outcome["status"] == "ok", facets
        assert run.tokens == run_worker(twin, evaluation_set, facets).tokens, facets
        assert "checkpoint_form" not in run.evidence.get("quantization", {})


@pytest.mark.slow
def test_shards_hold_their_part_of_the_steps(tmp_path, evaluation_set):
    source = make_checkpoint(tmp_path / "wide", heads=8, kv_heads=2, intermediate=256)
    packed, twin = packed_checkpoint.make(source, tmp_path, "awq")
    ways = {"tensor": {"parallel": {"tensor": 2}}, "pipeline": {"parallel": {"pipeline": 2}}}
    requests = {
        name: request(packed, evaluation_set, way | {"quantization": "int4_weight_only"}, processes=2)
        for name, way in ways.items()
    }
    expected = run_worker(twin, evaluation_set, {}).tokens
    for runs in run_group(requests, tmp_path / "group").values():
        assert runs[0].tokens == expected
        for run in runs:
            facts = run.evidence["quantization"]
            assert facts["layers_from_checkpoint"] == facts["linear_modules"] > 0
            assert facts["round_trip_error"] < 1e-6


@pytest.mark.parametrize("method", ["nf4", "int8"])
def test_bitsandbytes_stores_its_own_checkpoints_again_as_they_were(checkpoint, tmp_path, evaluation_set, method):
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    four = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}
    given = BitsAndBytesConfig(**four if method == "nf4" else {"load_in_8bit": True})
    packed = shutil.copytree(checkpoint, tmp_path / "bnb")
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32, quantization_config=given)
    model.save_pretrained(packed)
    form = forms.of_config(checkpoints.read_config(packed))
    assert (form.bits, form.layout) == ((4, "nf4") if method == "nf4" else (8, "int8"))
    manifest = prepare_model.prepare(
        "mine", {"source": "path", "path": {"path": str(packed)}, "dtype": "float32", "seed": 0}, tmp_path / "out"
    )
    assert manifest["parameters"] == checkpoints.parameters(checkpoint)
    name = "model.layers.0.mlp.up_proj.weight"
    dense = PackedTensors(packed, form).read(name, torch.float32)
    original = load_file(checkpoint / "model.safetensors")[name]
    assert 0 < (dense - original).norm() / original.norm() < (0.1 if method == "nf4" else 0.01)
    again = loaded(packed, quantization={"method": method})
    assert run_worker(packed, evaluation_set, {"quantization": method}).outcome["status"] == "ok"
    stored = again.model.get_submodule("model.layers.0.mlp.up_proj").weight
    before = load_file(packed / "model.safetensors")
    if method == "int8":
        assert torch.equal(stored.data.flatten(), before[name].flatten())


def test_what_is_missing_of_a_layer_is_one_sentence(made, tmp_path):
    packed = shutil.copytree(made("gptq")[0], tmp_path / "copy")
    tensors = load_file(packed / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.qzeros"]
    save_file(tensors, packed / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StudyError, match=r"the stored form of model\.layers\.1\.mlp\.up_proj\.weight does not fit its"):
        loaded(packed)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"quant_method": "torchao"}, "quantised by 'torchao', whose tensors only torchao itself unpacks; choose"),
        ({"quant_method": "mxfp4"}, "quantised by 'mxfp4', whose experts are stacked"),
        ({"quant_method": "awq", "bits": 4, "version": "gemv"}, "'awq' with 4 bits in the layout 'gemv', and"),
        ({"quant_method": "gptq", "bits": 3, "group_size": 128}, "'gptq' with 3 bits in the layout 'gptq', and 2, 4"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 0}, "quantization_config is damaged"),
        (packed_checkpoint.compressed("nvfp4-pack-quantized", 4, "group"), "in the layout 'nvfp4-pack-quantized'"),
        (packed_checkpoint.compressed("pack-quantized", 4, "token"), "the strategy 'token', and 'group'"),
        ({"quant_method": "compressed-tensors", "config_groups": {}}, "no group of layers"),
        ({"quant_method": "compressed-tensors", "config_groups": [1]}, "quantization_config is damaged"),
        ({"quant_method": "fp8", "weight_block_size": [0, 1]}, "quantization_config is damaged"),
        ("awq", "by 'an unnamed method'"),
    ],
)
def test_a_form_that_is_not_read_is_one_sentence(stored, message):
    with pytest.raises(StudyError, match=message) as caught:
        forms.of_config(json.loads(json.dumps({"quantization_config": stored})), "models.mine")
    assert str(caught.value).startswith("models.mine: ")
    assert str(caught.value).endswith(".")
