from types import SimpleNamespace

import pytest
import torch

from scripts.hardware.widths import kept_channels
from scripts.inference.loading import load
from scripts.runtime.errors import UnsupportedError
from scripts.runtime.layers import linear_layers
from scripts.runtime.models import Process
from scripts.techniques.pruning.facet import FACET
from scripts.techniques.pruning.structured.method import METHOD, channel_scores, feed_forwards
from tests.support.rank_group import run_group
from tests.support.tiny_checkpoint import make_checkpoint, variant
from tests.support.worker_runs import request, run_worker, settings

HALF = {"pruning": {"method": "structured", "amount": 0.5}}


def loaded(checkpoint, dtype=torch.float32, **facets):
    return load(checkpoint, settings(**facets), Process(torch.device("cpu"), dtype), None)


@pytest.mark.parametrize(
    ("width", "amount", "kept"),
    [
        (14336, 0.3, 10048),  # a multiple of 64, the nearest to 10035.2
        (8192, 0.5, 4096),
        (1024, 0.01, 960),  # always fewer than all
        (1024, 0.999, 64),  # never none
        (1100, 0.1, 960),
        (256, 0.3, 176),
        (128, 0.3, 88),  # narrow: a multiple of 8
        (128, 0.99, 8),
        (65, 0.001, 64),
        (8, 0.3, 6),
        (2, 0.1, 1),
        (2, 0.9, 1),
    ],
)
def test_what_is_kept_suits_the_kernels(width, amount, kept):
    assert kept_channels(width, amount) == kept


def test_the_only_channel_cannot_be_cut():
    with pytest.raises(UnsupportedError, match="one channel a layer"):
        METHOD.change_config({"amount": 0.5}, SimpleNamespace(intermediate_size=1, model_type="llama"))


def test_a_channel_scores_the_norm_of_its_rows_and_its_column():
    gate, up = torch.tensor([[3.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, 4.0], [0.0, 1.0]])
    down = torch.tensor([[0.0, 2.0], [12.0, 2.0]])
    assert channel_scores([gate, up, down]).tolist() == [13.0, 3.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_model_is_the_whole_one_with_the_weak_channels_silenced(checkpoint, dtype):
    """A channel whose weights are zero adds nothing, so that cutting it out must give the same logits."""
    whole, cut = loaded(checkpoint, dtype).model, loaded(checkpoint, dtype, **HALF).model
    for layer, narrow in zip(whole.model.layers, cut.model.layers, strict=True):
        mlp = layer.mlp
        weights = [each.weight for each in (mlp.gate_proj, mlp.up_proj, mlp.down_proj)]
        parts = torch.cat([weights[0], weights[1], weights[2].T], dim=1).float()
        strong = sorted(parts.norm(dim=1).argsort(descending=True)[:64].tolist())
        assert torch.equal(narrow.mlp.gate_proj.weight, weights[0][strong])
        assert torch.equal(narrow.mlp.down_proj.weight, weights[2][:, strong])
        weak = [channel for channel in range(128) if channel not in strong]
        mlp.down_proj.weight[:, weak] = 0
    ids = torch.arange(3, 40)[None]
    tolerance = {torch.float32: 1e-5, torch.bfloat16: 0.05}[dtype]
    assert torch.allclose(whole(ids).logits, cut(ids).logits, atol=tolerance, rtol=tolerance)
    assert cut.config.intermediate_size == 64


def test_evidence_is_the_shapes_that_ran_and_the_memory_shrinks_by_it(checkpoint, evaluation_set, greedy):
    run = run_worker(checkpoint, evaluation_set, HALF)
    facts = run.evidence["pruning"]
    assert (facts["channels_before"], facts["channels_after"], facts["removed_share"]) == (128, 64, 0.5)
    assert facts["channels"] == {f"model.layers.{layer}.mlp": {"before": 128, "after": 64} for layer in (0, 1)}
    assert facts["shapes"]["model.layers.1.mlp.gate_proj"] == [64, 128]
    assert facts["shapes"]["model.layers.1.mlp.down_proj"] == [128, 64]
    assert facts["sparsity"] == 0.0
    removed = 2 * 3 * 64 * 128
    assert facts["linear_weights"] == 196608 - removed
    assert facts["stored_bytes"] == 4 * (196608 - removed)
    saved = greedy.outcome["memory"]["weight_bytes"] - run.outcome["memory"]["weight_bytes"]
    assert saved == 4 * removed
    assert run.tokens != greedy.tokens


def test_the_share_that_rounding_allows_is_the_one_that_is_said(checkpoint, evaluation_set):
    facts = run_worker(checkpoint, evaluation_set, {"pruning": "structured"}).evidence["pruning"]
    assert facts["removed_share"] == (128 - 88) / 128


@pytest.mark.parametrize("method", ["int8", "nf4"])
def test_what_is_left_is_quantised(checkpoint, evaluation_set, method):
    run = run_worker(checkpoint, evaluation_set, HALF | {"quantization": method})
    assert run.evidence["quantization"]["quantized_modules"] == 14
    assert run.evidence["quantization"]["weights"] == run.evidence["pruning"]["linear_weights"] == 147456
    assert run.evidence["pruning"]["channels_after"] == 64


def test_a_width_that_4_bit_blocks_do_not_divide_is_unsupported_on_a_cpu(checkpoint, evaluation_set):
    run = run_worker(checkpoint, evaluation_set, {"pruning": "structured", "quantization": "nf4"})
    assert run.outcome["status"] == "unsupported"
    assert "blocks of 64; model.layers.0.mlp.down_proj is 88 wide" in run.outcome["reason"]


def test_ranks_must_divide_what_is_left(tmp_path, evaluation_set):
    # 4 ranks would divide the 8 channels that there were, and not the 6 that are left.
    model = make_checkpoint(tmp_path / "model", kv_heads=4, intermediate=8)
    run = run_worker(model, evaluation_set, {"parallel": {"tensor": 4}, "pruning": "structured"})
    assert run.outcome["status"] == "unsupported"
    assert run.outcome["reason"] == "the model's intermediate_size of 6 can't be split over 4 ranks."


@pytest.fixture(scope="module")
def groups(checkpoint, evaluation_set, tmp_path_factory):
    ways = {"tensor": {"parallel": {"tensor": 2}}, "pipeline": {"parallel": {"pipeline": 2}}}
    ways["pipeline_int8"] = ways["pipeline"] | {"quantization": "int8"}
    requests = {name: request(checkpoint, evaluation_set, HALF | way, processes=2) for name, way in ways.items()}
    return run_group(requests, tmp_path_factory.mktemp("group"))


@pytest.mark.parametrize(
    ("way", "alone"), [("tensor", {}), ("pipeline", {}), ("pipeline_int8", {"quantization": "int8"})]
)
def test_two_processes_write_the_tokens_that_one_does(checkpoint, evaluation_set, groups, way, alone):
    single = run_worker(checkpoint, evaluation_set, HALF | alone)
    assert groups[way][0].tokens == single.tokens
    for run in groups[way]:
        facts = run.evidence["pruning"]
        assert facts["linear_weights"] == single.evidence["pruning"]["linear_weights"]
        assert facts["channels_after"] == 64


def test_shards_are_of_the_cut_layers(groups):
    for run in groups["tensor"]:
        assert run.evidence["pruning"]["shapes"]["model.layers.0.mlp.gate_proj"] == [32, 128]
        assert run.evidence["pruning"]["shapes"]["model.layers.0.mlp.down_proj"] == [128, 32]


class Config:
    model_type = "other"
    num_hidden_layers = 1


@pytest.mark.parametrize("width", [None, [64, 128]])
def test_a_model_without_one_width_is_unsupported(width):
    config = Config()
    if width is not None:
        config.intermediate_size = width
    with pytest.raises(UnsupportedError, match="needs layers of one intermediate_size; the 'other' model has"):
        FACET.change_config(FACET.resolve("structured"), config)


@pytest.mark.parametrize(
    "linear",
    [
        ["model.layers.0.mlp.gate_up_proj.weight", "model.layers.0.mlp.down_proj.weight"],
        ["model.layers.0.mlp.fc1.weight", "model.layers.0.mlp.fc2.weight"],
        ["model.layers.0.self_attn.q_proj.weight"],
    ],
)
def test_another_feed_forward_is_unsupported(linear):
    with pytest.raises(UnsupportedError, match="up_proj and down_proj; the 'other' model is built otherwise"):
        feed_forwards(linear, Config())


def test_the_rest_of_the_checkpoint_is_as_it_was(checkpoint, tmp_path):
    ends = variant(checkpoint, tmp_path / "ends", generation_config={"eos_token_id": [1, 20]})
    whole, cut = loaded(ends).model, loaded(ends, **HALF).model
    feed_forward = {name for name in linear_layers(whole) if ".mlp." in name}
    for name, weight in whole.state_dict().items():
        if name.removesuffix(".weight") not in feed_forward:
            assert torch.equal(weight, cut.state_dict()[name])
    assert cut.generation_config.eos_token_id == [1, 20]
