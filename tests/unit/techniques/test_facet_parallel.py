import pytest
import torch

from scripts.foundation.errors import StudyError
from scripts.inference.loading import load
from scripts.runtime.errors import EvidenceError
from scripts.runtime.models import Process
from scripts.techniques.parallel.facet import FACET
from tests.support.observations import observation
from tests.support.rank_group import run_group
from tests.support.tiny_checkpoint import make_checkpoint, write_dataset
from tests.support.worker_runs import request, run_worker

TENSOR, PIPELINE = {"parallel": {"tensor": 2}}, {"parallel": {"pipeline": 2}}
PRUNED = {"pruning": {"amount": 0.5}}
WAYS = {
    "tensor": TENSOR,
    "pipeline": PIPELINE,
    "tensor_pruned": TENSOR | PRUNED | {"kv_cache": "none"},
    "tensor_nf4": TENSOR | {"quantization": "nf4"},
    "pipeline_int8_pruned": PIPELINE | PRUNED | {"quantization": "int8"},
}
SEEN = observation(collectives={"allreduce": 1})


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Three layers, which two stages can't halve."""
    return make_checkpoint(tmp_path_factory.mktemp("checkpoints") / "three", layers=3)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("dataset") / "eval.jsonl", 2)


@pytest.fixture(scope="module")
def groups(model, data, tmp_path_factory):
    requests = {name: request(model, data, way, processes=2) for name, way in WAYS.items()}
    return run_group(requests, tmp_path_factory.mktemp("group"))


@pytest.fixture(scope="module")
def alone(model, data):
    """The same on one process."""
    int8 = PRUNED | {"quantization": "int8"}
    ways = {"float": {}, "pruned": PRUNED, "nf4": {"quantization": "nf4"}, "int8_pruned": int8}
    return {name: run_worker(model, data, way) for name, way in ways.items()}


@pytest.mark.parametrize(
    ("way", "single"),
    [
        ("tensor", "float"),
        ("pipeline", "float"),
        ("tensor_pruned", "pruned"),
        ("pipeline_int8_pruned", "int8_pruned"),
    ],
)
def test_two_processes_write_the_tokens_that_one_does(groups, alone, way, single):
    assert groups[way][0].tokens == alone[single].tokens


def test_each_rank_holds_half_of_every_linear_layer(groups):
    for rank, run in enumerate(groups["tensor"]):
        facts = run.evidence["parallel"]
        assert (facts["rank"], facts["world_size"]) == (rank, 2)
        assert facts["sharded_modules"] == 21
        for shapes in facts["first_layer_shards"].values():
            shard, whole = shapes["shard"], shapes["whole"]
            assert 2 * shard[0] * shard[1] == whole[0] * whole[1]
        assert facts["collectives"]["allreduce"] > 0


def test_the_stages_hold_all_layers_and_each_only_once(groups):
    first, second = (run.evidence["parallel"] for run in groups["pipeline"])
    assert (first["layers_held"], second["layers_held"]) == ([0], [1, 2])
    assert first["collectives"]["send"] == second["collectives"]["recv"] > 0
    # Layers that take turns are not to be taken for a filled pipeline.
    assert first["micro_batches_in_flight"] == 1


def test_memory_is_split_too(groups, alone):
    whole = alone["float"].outcome["memory"]["weight_bytes"]
    shards = [run.outcome["memory"]["weight_bytes"] for run in groups["tensor"]]
    stages = [run.outcome["memory"]["weight_bytes"] for run in groups["pipeline"]]
    embedding = 320 * 128 * 4
    # Every rank has all of the head and the norms, and half of the rest.
    assert max(shards) < (whole - embedding) / 2 + embedding + 8192
    # Each stage has the table of rotary frequencies.
    assert sum(stages) == pytest.approx(whole, rel=1e-3)
    assert [run.outcome["memory"]["rank"] for run in groups["tensor"]] == [0, 1]


def test_only_the_first_rank_writes_samples(groups):
    assert [len(run.samples) for run in groups["tensor"]] == [2, 0]


def test_shards_are_quantised(groups, alone):
    for run in groups["tensor_nf4"]:
        facts = run.evidence["quantization"]
        assert facts["quantized_modules"] == facts["linear_modules"] == 21
        assert facts["stored_dtypes"] == ["uint8"]
        assert run.evidence["parallel"]["sharded_modules"] == 21
        # A shard has the code book of 16 values of its own.
        assert facts["stored_bytes"] <= alone["nf4"].evidence["quantization"]["stored_bytes"] / 2 + 21 * 64
    assert all(len(tokens) > 0 for tokens in groups["tensor_nf4"][0].tokens)


def test_sparsity_is_that_of_all_ranks_together(groups):
    for way in ("tensor_pruned", "pipeline_int8_pruned"):
        for run in groups[way]:
            facts = run.evidence["pruning"]
            assert facts["linear_weights"] == 3 * 98304
            # Quantising to 8 bits makes some more zeros.
            assert 0.5 <= facts["sparsity"] < (0.6 if "int8" in way else 0.50001)


@pytest.mark.parametrize(
    ("shape", "way", "sentence"),
    [
        ({"heads": 1, "kv_heads": 1}, TENSOR, "the model's num_attention_heads of 1 can't be split over 2 ranks."),
        ({"kv_heads": 1}, TENSOR, "the model's num_key_value_heads of 1 can't be split over 2 ranks."),
        ({}, {"parallel": {"tensor": 3}}, "the model's num_attention_heads of 4 can't be split over 3 ranks."),
        ({"intermediate": 65}, TENSOR, "the model's intermediate_size of 65 can't be split over 2 ranks."),
        ({"layers": 1}, PIPELINE, "2 pipeline stages need as many layers; the model has 1."),
    ],
)
def test_a_model_that_cannot_be_split_is_unsupported(tmp_path, data, shape, way, sentence):
    run = run_worker(make_checkpoint(tmp_path / "model", **shape), data, way)
    assert run.outcome == {"status": "unsupported", "reason": sentence}


@pytest.mark.parametrize("way", [TENSOR, PIPELINE])
def test_a_whole_model_on_each_rank_is_invalid(model, data, monkeypatch, way):
    monkeypatch.setattr(type(FACET), "load_options", lambda *arguments: {})
    run = run_worker(model, data, way)
    assert run.outcome["status"] == "invalid"
    assert "no collective ran on rank 0" in run.outcome["reason"]


@pytest.mark.parametrize("size", [2, 3])
def test_collectives_alone_prove_nothing(model, size):
    loaded = load(model, {"kv_cache": "dynamic"}, Process(torch.device("cpu"), torch.float32), None)
    with pytest.raises(EvidenceError, match=r"q_proj holds \[128, 128\] of \[128, 128\] on one rank"):
        FACET.evidence({"tensor": size, "pipeline": 1}, loaded, SEEN)
    with pytest.raises(EvidenceError, match="rank 0 holds 3 of 3"):
        FACET.evidence({"tensor": 1, "pipeline": size}, loaded, SEEN)


def test_values_are_spelled_out():
    assert FACET.resolve({"tensor": 2}) == {"tensor": 2, "pipeline": 1}
    assert FACET.resolve({"pipeline": 4}) == {"tensor": 1, "pipeline": 4}
    assert FACET.processes({"tensor": 1, "pipeline": 4}) == 4
    for off in (None, "none", {"tensor": 1}, {"tensor": 1, "pipeline": 1}):
        assert FACET.resolve(off) is None


def test_what_does_not_compose_is_refused():
    with pytest.raises(StudyError, match="'tensor' does not compose with parallel 'pipeline'"):
        FACET.check({"tensor": 2, "pipeline": 2}, {})
    with pytest.raises(StudyError, match="parallel does not compose with speculation"):
        FACET.check({"tensor": 2, "pipeline": 1}, {"speculation": {"prompt_lookup": 4}})
