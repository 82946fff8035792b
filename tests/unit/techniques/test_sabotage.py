"""A technique that silently is another is shown as invalid, and only its evidence can tell."""

import gc

import pytest

from tests.support.rank_group import run_group
from tests.support.sabotage import SABOTAGES, applied
from tests.support.tiny_checkpoint import SUMMARIES, make_checkpoint
from tests.support.worker_runs import request, run_worker

CALIBRATION = [{"summary": text, "headline": "A headline"} for text in SUMMARIES]
WANDA = {"method": "wanda", "calibration": len(CALIBRATION)}
DRAFTED, LOOKED_UP = {"draft": "draft", "tokens": 4}, {"prompt_lookup": 3}
DRAFTED_INT4, DRAFTED_NF4 = (DRAFTED | {"draft_quantization": method} for method in ("int4_weight_only", "nf4"))
DOUBLED = {"method": "nf4", "double_quantization": True}

ALONE = [
    ("kv_cache", "none", "cache_is_on", "kv_cache is 'none', but generation kept a cache."),
    ("kv_cache", "dynamic", "cache_is_off", "kv_cache is 'dynamic', but the cache holds 0 of"),
    ("kv_cache", "dynamic", "cache_is_static", "but generation used a StaticCache of fixed size."),
    ("attention", "eager", "attention_is_left_to_transformers", "is 'eager', but the model is set to 'sdpa'"),
    ("attention", "eager", "attention_is_only_said_to_be_eager", "called torch's fused attention 2 times"),
    ("engine", "transformers_static", "static_cache_grows", "positions, but generation used "),
    ("speculation", DRAFTED, "no_assistant", "asks for a draft model, but it was never called."),
    ("speculation", LOOKED_UP, "no_lookup", "asks for prompt lookup, but generation never looked a proposal up."),
    ("speculation", DRAFTED, "longer_drafts", "speculation asks for 4 tokens at a time, but 9 were proposed."),
    ("speculation", LOOKED_UP, "longer_lookups", "speculation asks for 3 tokens at a time, but 9 were proposed."),
    (
        "speculation",
        DRAFTED_INT4,
        "not_quantised",
        "of WeightOnlyLinear stored as uint8, but 0 are, stored as nothing.",
    ),
    ("speculation", DRAFTED_NF4, "not_quantised", "of Linear4bit stored as uint8, but 0 are, stored as nothing."),
    ("speculation", DRAFTED_INT4, "eight_bits_for_four", "stored as uint8, but 14 are, stored as int8."),
    (
        "speculation",
        DRAFTED_INT4,
        "another_draft_is_used",
        "of WeightOnlyLinear stored as uint8, but 0 are, stored as ",
    ),
    ("pruning", "magnitude", "not_pruned", "asks for 30% zeros, but the loaded weights have 0.0%."),
    ("pruning", "magnitude", "pruned_copy_is_lost", "asks for 30% zeros, but the loaded weights have 0.0%."),
    ("pruning", "magnitude", "random_weights_are_pruned", "but 1 of 1 groups lost a larger score than they kept"),
    ("pruning", {"scope": "layer"}, "random_weights_are_pruned", "but 14 of 14 groups lost a larger score"),
    ("pruning", "magnitude", "kept_weights_are_scaled", "and 137626 kept weights were changed."),
    ("pruning", "magnitude", "twice_as_much_is_pruned", "asks for 58982 zeros, but 117965 of the loaded weights are"),
    (
        "pruning",
        "structured",
        "not_pruned",
        "asks for 88 of 128 channels a layer, but",
    ),
    ("pruning", "structured", "pruned_copy_is_lost", "asks for 88 of 128 channels a layer, but"),
    ("pruning", "structured", "first_channels_are_kept", "but 2 of 2 groups lost a larger score than they kept"),
    ("pruning", "structured", "channels_are_only_zeroed", "asks for 88 of 128 channels a layer, but"),
    ("pruning", "structured", "fewer_channels_are_cut", "asks for 88 of 128 channels a layer, but"),
    ("pruning", WANDA, "not_pruned", "asks for 30% zeros, but the loaded weights have 0.0%."),
    ("pruning", WANDA, "pruned_copy_is_lost", "asks for 30% zeros, but the loaded weights have 0.0%."),
    ("pruning", WANDA, "inputs_do_not_count", "asks for 'wanda', but all input norms are equal."),
    ("pruning", WANDA, "magnitudes_do_not_count", "groups lost a larger score than they kept"),
    ("pruning", WANDA, "half_the_rows_are_pruned", "asks for 30% zeros, but the loaded weights have 14.8%."),
    (
        "quantization",
        "int8",
        "not_quantised",
        "of Linear8bitLt stored as int8, but 0 are, stored as nothing.",
    ),
    ("quantization", "int8", "other_threshold", "'int8' asks for threshold 6.0, but layers have 0.0."),
    ("quantization", "int8", "float_weights_are_kept_beside", "takes 202752 bytes for these layers, but 989184 are"),
    ("quantization", "nf4", "not_quantised", "of Linear4bit stored as uint8, but 0 are, stored as nothing."),
    ("quantization", "nf4", "fp4_for_nf4", "'nf4' asks for quant_type nf4, but layers have fp4."),
    ("quantization", "nf4", "double_quantisation_is_on", "asks for double_quantization False, but layers have True."),
    (
        "quantization",
        DOUBLED,
        "double_quantisation_is_off",
        "for double_quantization True, but layers have False.",
    ),
    ("quantization", "nf4", "other_compute_dtype", "asks for compute_dtype float32, but layers have bfloat16."),
    ("quantization", "nf4", "float_weights_are_kept_beside", "bytes for these layers, but"),
    (
        "quantization",
        "int8_weight_only",
        "not_quantised",
        "of WeightOnlyLinear stored as int8, but 0 are, stored as nothing.",
    ),
    ("quantization", "int4_weight_only", "one_layer_stays_dense", "but 13 are, stored as uint8."),
    ("quantization", "int8_weight_only", "stored_as_float", "stored as int8, but 14 are, stored as float32."),
    ("quantization", "int4_weight_only", "eight_bits_for_four", "stored as uint8, but 14 are, stored as int8."),
    ("quantization", "fp8", "float_weights_are_kept_beside", "takes 202752 bytes for these layers, but 989184 are"),
    ("quantization", "int8_weight_only", "other_weights_are_stored", "rounds weights by up to 10.0%, but layers of"),
    ("quantization", "int8_weight_only", "dense_weights_are_multiplied", "but a product is "),
    ("quantization", "int4_weight_only", "dense_weights_are_multiplied", "but a product is "),
    ("quantization", "fp8", "dense_weights_are_multiplied", "but a product is "),
]
TENSOR, PIPELINE = {"tensor": 2}, {"pipeline": 2}
TOGETHER = {
    "tensor_whole": (TENSOR, "whole_model_on_each_rank", "q_proj holds [128, 128] of [128, 128] on one rank."),
    "tensor_alone": (TENSOR, "each_rank_alone", "but no collective ran on rank "),
    "pipeline_whole": (PIPELINE, "whole_model_on_each_rank", "parallel pipeline 2: rank {rank} holds 2 of 2."),
    "pipeline_alone": (PIPELINE, "each_rank_alone", "but no collective ran on rank "),
}


@pytest.fixture(autouse=True)
def _no_collection(monkeypatch):
    """Collecting garbage before memory is measured takes longer than these runs."""
    monkeypatch.setattr(gc, "collect", lambda: 0)


@pytest.fixture(scope="module")
def circle(tmp_path_factory):
    """A model that writes 17, 18, 19, 16, 17, 18, … after a full stop: lookup finds long repetitions."""
    directory = tmp_path_factory.mktemp("checkpoints") / "circle"
    return make_checkpoint(directory, successor=lambda token: token // 4 * 4 + (token + 1) % 4)


@pytest.mark.parametrize(("facet", "value", "sabotage", "sentence"), ALONE)
def test_a_sabotaged_run_is_invalid_by_its_evidence_alone(
    checkpoint, circle, evaluation_set, facet, value, sabotage, sentence
):
    model = circle if facet == "speculation" else checkpoint
    draft = model if "draft" in value else None
    options = {"draft": draft, "calibration": CALIBRATION, "max_new_tokens": 24}
    with applied([sabotage]):
        run = run_worker(model, evaluation_set, {facet: value}, **options)
    assert run.outcome["status"] == "invalid", run.outcome
    assert sentence in run.outcome["reason"]
    assert run.outcome["reason"].startswith(facet)
    # Without the evidence nothing would have told, and a wrong row would have been reported.
    with applied([sabotage, f"unproved:{facet}"]):
        assert run_worker(model, evaluation_set, {facet: value}, **options).outcome["status"] == "ok"


HONEST = {str(value): (facet, value) for facet, value, *_ in ALONE}


@pytest.mark.parametrize("name", HONEST)
def test_the_same_run_without_a_sabotage_is_not(checkpoint, evaluation_set, name):
    facet, value = HONEST[name]
    draft = checkpoint if "draft" in value else None
    run = run_worker(checkpoint, evaluation_set, {facet: value}, draft=draft, calibration=CALIBRATION)
    assert run.outcome["status"] == "ok", run.outcome


@pytest.fixture(scope="module")
def groups(checkpoint, evaluation_set, tmp_path_factory):
    requests = {}
    for name, (value, sabotage, _) in TOGETHER.items():
        whole = request(checkpoint, evaluation_set, {"parallel": value}, processes=2)
        requests[name] = whole | {"sabotage": [sabotage]}
        requests[f"{name}_unproved"] = whole | {"sabotage": [sabotage, "unproved:parallel"]}
    return run_group(requests, tmp_path_factory.mktemp("group"))


@pytest.mark.parametrize("name", TOGETHER)
def test_ranks_that_do_not_share_the_model_are_invalid_by_their_evidence_alone(groups, name):
    for rank, run in enumerate(groups[name]):
        assert run.outcome["status"] == "invalid"
        assert TOGETHER[name][2].format(rank=rank) in run.outcome["reason"]
    assert [run.outcome["status"] for run in groups[f"{name}_unproved"]] == ["ok", "ok"]


def test_every_sabotage_is_tried():
    here = {row[2] for row in ALONE} | {row[1] for row in TOGETHER.values()}
    # What is compiled while timed is no single facet's to prove: test_compiles.py tries that one.
    assert here | {"compiled_while_timed"} == set(SABOTAGES)
