import hashlib

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from scripts.foundation.errors import StudyError
from scripts.inference.loading import load
from scripts.runtime.layers import linear_layers, stored_weight
from scripts.runtime.models import Process
from scripts.techniques.pruning.facet import FACET
from scripts.techniques.pruning.magnitude import method as magnitude
from scripts.techniques.pruning.magnitude.method import prune_smallest
from tests.support.tiny_checkpoint import make_checkpoint, variant
from tests.support.worker_runs import run_worker, settings

SHAPES = [(16, 8), (3, 5), (40, 7), (1, 1)]


def random_tensors(dtype):
    torch.manual_seed(3)
    return [torch.randn(shape).to(dtype) for shape in SHAPES]


def pruned_by_torch(tensors, amount):
    """What torch's own global L1 pruning makes of them."""
    layers = []
    for tensor in tensors:
        layer = nn.Linear(tensor.shape[1], tensor.shape[0], bias=False).to(tensor.dtype)
        layer.weight.data.copy_(tensor)
        layers.append(layer)
    prune.global_unstructured([(each, "weight") for each in layers], prune.L1Unstructured, amount=amount)
    for layer in layers:
        prune.remove(layer, "weight")
    return [layer.weight.data for layer in layers]


def flat(tensors):
    return torch.cat([tensor.float().flatten() for tensor in tensors])


@pytest.mark.parametrize("part", [1 << 24, 97])
@pytest.mark.parametrize("amount", [0.001, 0.1, 0.3, 0.5, 0.77, 0.999])
def test_the_result_is_torchs_global_l1_pruning(monkeypatch, amount, part):
    monkeypatch.setattr(magnitude, "_PART", part)
    tensors = random_tensors(torch.float32)
    expected = pruned_by_torch(tensors, amount)
    prune_smallest(tensors, amount)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(tensors, expected, strict=True))


@pytest.mark.parametrize("part", [1 << 24, 97])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("amount", [0.1, 0.3, 0.5, 0.9])
def test_ties_are_cut_at_the_exact_number_with_the_magnitudes_that_torch_keeps(monkeypatch, dtype, amount, part):
    monkeypatch.setattr(magnitude, "_PART", part)
    # Few different magnitudes, of both signs: most are ties.
    tensors = [(tensor.float() * 2).round().to(dtype) / 8 + 0.25 for tensor in random_tensors(dtype)]
    before = [tensor.clone() for tensor in tensors]
    expected = pruned_by_torch(tensors, amount)
    prune_smallest(tensors, amount)
    ours, theirs = flat(tensors), flat(expected)
    assert torch.equal(ours.abs().sort().values, theirs.abs().sort().values)
    kept = ours != 0
    assert torch.equal(ours[kept], flat(before)[kept])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("amount", [0.3, 0.5, 0.123])
def test_exactly_the_rounded_share_is_zeroed(dtype, amount):
    tensors = [tensor.abs() + 0.1 for tensor in random_tensors(dtype)]
    total = sum(tensor.numel() for tensor in tensors)
    prune_smallest(tensors, amount)
    assert int((flat(tensors) == 0).sum()) == round(amount * total)


def test_zeros_that_are_there_already_count():
    tensor = torch.tensor([[0.0, -0.0, 0.0, 4.0, -1.0, 2.0]])
    prune_smallest([tensor], 0.5)
    assert tensor.tolist() == [[0.0, 0.0, 0.0, 4.0, -1.0, 2.0]]
    prune_smallest([tensor], 4 / 6)
    assert tensor.tolist() == [[0.0, 0.0, 0.0, 4.0, 0.0, 2.0]]


def test_extreme_values_are_ordered_by_magnitude():
    tensor = torch.tensor([[1e-45, -1e-40, 1e38, float("inf"), -3e-39, 1.0]])
    prune_smallest([tensor], 0.5)
    assert tensor.tolist() == [[0.0, 0.0, pytest.approx(1e38), float("inf"), 0.0, 1.0]]


@pytest.mark.parametrize(("amount", "zeros"), [(1e-9, 0), (0.49 / 100, 0), (0.51 / 100, 1), (1.0, 100)])
def test_the_smallest_and_the_largest_share(amount, zeros):
    tensor = torch.arange(1.0, 101.0).view(10, 10)
    prune_smallest([tensor], amount)
    assert int((tensor == 0).sum()) == zeros


def test_values_are_spelled_out():
    assert FACET.resolve("magnitude") == {"method": "magnitude", "amount": 0.3, "scope": "global"}
    assert FACET.resolve({"amount": 0.5}) == {"method": "magnitude", "amount": 0.5, "scope": "global"}
    assert FACET.resolve({"scope": "layer"}) == {"method": "magnitude", "amount": 0.3, "scope": "layer"}
    assert FACET.resolve("structured") == {"method": "structured", "amount": 0.3}
    assert FACET.resolve({"method": "wanda", "amount": 0.5}) == {"method": "wanda", "amount": 0.5, "calibration": 32}
    assert FACET.resolve("none") is FACET.resolve(None) is None


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("random", "pruning method 'random' does not exist; use 'none', 'magnitude', 'structured' or 'wanda'."),
        ({"calibration": 8}, "pruning 'magnitude' has no option 'calibration'; it has method, amount, scope."),
        ({"method": "structured", "scope": "layer"}, "'structured' has no option 'scope'; it has method, amount."),
        ({"method": "wanda", "scope": "layer"}, "'wanda' has no option 'scope'; it has method, amount, calibration."),
        ({"method": "structured", "calibration": 8}, "'structured' has no option 'calibration'"),
    ],
)
def test_what_a_method_does_not_have_is_refused(value, sentence):
    with pytest.raises(StudyError) as error:
        FACET.resolve(value)
    assert sentence in str(error.value)


def test_only_wanda_looks_at_training_rows():
    rows = {method: FACET.calibration_rows(FACET.resolve(method)) for method in ("magnitude", "structured", "wanda")}
    assert rows == {"magnitude": 0, "structured": 0, "wanda": 32}


def loaded_model(checkpoint, dtype=torch.float32, **facets):
    return load(checkpoint, settings(**facets), Process(torch.device("cpu"), dtype), None).model


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_only_linear_layers_are_pruned_and_the_rest_is_as_it_was(tmp_path, tied, dtype):
    checkpoint = make_checkpoint(tmp_path / "model", tied=tied)
    digest = hashlib.sha256((checkpoint / "model.safetensors").read_bytes()).digest()
    whole = loaded_model(checkpoint, dtype).state_dict()
    model = loaded_model(checkpoint, dtype, pruning={"amount": 0.4})
    weights = model.state_dict()

    # No mask and no second copy is left.
    assert list(weights) == list(whole)
    assert not any(module._forward_pre_hooks for module in model.modules())
    linear = {f"{name}.weight" for name in linear_layers(model)}
    assert len(linear) == 14
    zeros = total = 0
    for name, weight in weights.items():
        assert weight.dtype == dtype
        if name in linear:
            kept = weight != 0
            assert torch.equal(weight[kept], whole[name][kept])
            zeros += int((~kept).sum())
            total += weight.numel()
        else:
            assert torch.equal(weight, whole[name])
    assert zeros == round(0.4 * total)
    # The user's checkpoint is read, never written.
    assert hashlib.sha256((checkpoint / "model.safetensors").read_bytes()).digest() == digest


def test_scope_layer_prunes_each_layer_by_the_same_share(checkpoint):
    per_layer = [
        stored_weight(layer) for layer in linear_layers(loaded_model(checkpoint, pruning={"scope": "layer"})).values()
    ]
    over_all = [stored_weight(layer) for layer in linear_layers(loaded_model(checkpoint, pruning="magnitude")).values()]
    counts = [int((weight == 0).sum()) for weight in per_layer]
    assert counts == [round(0.3 * weight.numel()) for weight in per_layer]
    assert counts != [int((weight == 0).sum()) for weight in over_all]


def test_evidence_is_the_sparsity_of_the_weights_that_ran(checkpoint, evaluation_set, greedy):
    run = run_worker(checkpoint, evaluation_set, {"pruning": {"amount": 0.5}})
    facts = run.evidence["pruning"]
    assert facts["linear_weights"] == 196608
    assert facts["zero_weights"] == 98304
    assert facts["sparsity"] == 0.5
    assert len(facts["layer_sparsity"]) == 14
    assert all(0.4 < share < 0.6 for share in facts["layer_sparsity"].values())
    assert facts["method"] == "magnitude"
    assert facts["stored_bytes"] == 196608 * 4
    assert facts["criterion"]["groups"] == 1
    assert facts["criterion"]["smallest_margin"] >= 0
    assert run.tokens != greedy.tokens
    # Zeros in dense tensors save nothing, and nothing else is said.
    assert run.outcome["memory"]["weight_bytes"] == greedy.outcome["memory"]["weight_bytes"]


def test_a_load_that_silently_does_not_prune_is_invalid(checkpoint, evaluation_set, monkeypatch):
    monkeypatch.setattr(type(FACET), "transform_weights", lambda *arguments: None)
    run = run_worker(checkpoint, evaluation_set, {"pruning": "magnitude"})
    assert run.outcome["status"] == "invalid"
    assert run.outcome["reason"] == "pruning asks for 30% zeros, but the loaded weights have 0.0%."


@pytest.mark.parametrize("method", ["nf4", "int8"])
def test_pruned_weights_stay_zero_when_they_are_quantised(checkpoint, evaluation_set, method):
    facets = {"quantization": method, "pruning": {"amount": 0.5}}
    pruned = linear_layers(loaded_model(checkpoint, pruning={"amount": 0.5}))
    packed = linear_layers(loaded_model(checkpoint, **facets))
    for name, layer in packed.items():
        expanded = stored_weight(layer).reshape(pruned[name].weight.shape)
        assert not expanded[pruned[name].weight == 0].any()
    run = run_worker(checkpoint, evaluation_set, facets)
    assert 0.5 <= run.evidence["pruning"]["sparsity"] < 0.6
    assert run.evidence["quantization"]["quantized_modules"] == 14


def test_pruned_and_whole_model_end_at_the_same_tokens(chain, evaluation_set, tmp_path):
    """End tokens stand in generation_config.json, which is not read along with pruned weights by itself."""
    ends = variant(chain, tmp_path / "ends", generation_config={"eos_token_id": [1, 20]})
    whole = run_worker(ends, evaluation_set, {})
    # A third of its weights is zero already.
    pruned = run_worker(ends, evaluation_set, {"pruning": {"amount": 0.4}})
    assert pruned.tokens == whole.tokens == [[17, 18, 19, 20]] * 3
    assert pruned.outcome["generation"] == whole.outcome["generation"]
