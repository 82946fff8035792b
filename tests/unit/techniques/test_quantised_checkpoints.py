"""Checkpoints that are already quantised: read dequantised, and their 4-bit steps kept by the project's own layers."""

import pytest
import torch
from safetensors.torch import load_file

from scripts import prepare_model
from scripts.inference.loading import load
from scripts.models import checkpoint as checkpoints
from scripts.models.packed import forms
from scripts.runtime.layers import linear_layers
from scripts.runtime.models import Process
from tests.support import packed_checkpoint
from tests.support.packed_checkpoint import CONFIGS, FOUR_BIT
from tests.support.worker_runs import run_worker, settings

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
