import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from scripts.inference import loading
from scripts.runtime.models import Process
from scripts.techniques.pruning import facet as pruning
from tests.support.tiny_checkpoint import make_checkpoint
from tests.support.worker_runs import settings

CPU = Process(torch.device("cpu"), torch.float32)
ROWS = [[5, 6, 7], [8, 9]]


@pytest.fixture
def handed(monkeypatch):
    """The checkpoint that a facet which transforms weights is handed; it changes nothing."""
    seen = {}

    def transform(self, value, checkpoint, notes):
        seen["checkpoint"] = checkpoint
        seen["stored"] = {name: checkpoint.read(name) for name in checkpoint.weights}

    monkeypatch.setattr(type(pruning.FACET), "transform_weights", transform)
    return seen


def halves(checkpoint):
    """The same checkpoint in two files."""
    weights = load_file(checkpoint / "model.safetensors")
    (checkpoint / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {"one.safetensors": names[::2], "two.safetensors": names[1::2]}
    for file, part in parts.items():
        save_file({name: weights[name] for name in part}, checkpoint / file, metadata={"format": "pt"})
    index = {name: file for file, part in parts.items() for name in part}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return weights


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_facet_can_read_every_tensor_anew(tmp_path, handed, dtype):
    checkpoint = make_checkpoint(tmp_path / "model")
    stored = halves(checkpoint)
    loading.load(checkpoint, settings(pruning="magnitude"), Process(CPU.device, dtype), None)
    given = handed["checkpoint"]
    assert set(handed["stored"]) == set(given.weights) == set(stored)
    for name, tensor in stored.items():
        assert torch.equal(handed["stored"][name], tensor.to(dtype))
        # Another copy: what the facet changes does not change what it compares with.
        assert handed["stored"][name].data_ptr() != given.weights[name].data_ptr()
    with pytest.raises(KeyError, match="no_such_weight"):
        given.read("no_such_weight")


@pytest.mark.parametrize("sharded", [False, True])
def test_weights_that_the_loader_does_not_read_are_none_of_the_models(tmp_path, handed, sharded):
    checkpoint = make_checkpoint(tmp_path / "model")
    stored = load_file(checkpoint / "model.safetensors")
    if sharded:
        halves(checkpoint)
    strays = {name: torch.zeros_like(tensor) for name, tensor in stored.items()} | {"no.such.weight": torch.ones(2)}
    for name in ("model_old.safetensors", "a.safetensors", "zz.safetensors"):
        save_file(strays, checkpoint / name, metadata={"format": "pt"})
    loading.load(checkpoint, settings(pruning="magnitude"), CPU, None)
    assert set(handed["checkpoint"].weights) == set(handed["stored"]) == set(stored)
    assert all(torch.equal(handed["stored"][name], stored[name]) for name in stored)
    assert all(torch.equal(handed["checkpoint"].weights[name], stored[name]) for name in stored)


def test_a_facet_is_handed_calibration_rows_and_the_checkpoints_own_configuration(checkpoint, handed):
    loaded = loading.load(checkpoint, settings(pruning="magnitude"), CPU, None, calibration=ROWS)
    given = handed["checkpoint"]
    assert given.calibration == ROWS
    assert given.config.intermediate_size == 128
    assert len(given.linear) == 14
    assert given.model_class is type(loaded.model)
    loading.load(checkpoint, settings(pruning="magnitude"), CPU, None)
    assert handed["checkpoint"].calibration is None


def test_the_changed_configuration_makes_the_model_and_the_own_one_is_kept(checkpoint):
    loaded = loading.load(checkpoint, settings(pruning={"method": "structured", "amount": 0.5}), CPU, checkpoint)
    assert loaded.model.config.intermediate_size == 64
    assert loaded.notes["checkpoint_config"].intermediate_size == 128
    # The draft is not the technique's to prune.
    assert loaded.draft.config.intermediate_size == 128


def test_later_facets_judge_the_model_as_it_will_be(checkpoint, monkeypatch):
    judged = []
    from scripts.techniques.parallel import facet as parallel

    monkeypatch.setattr(
        type(parallel.FACET), "check_model", lambda self, value, config: judged.append(config.intermediate_size)
    )
    monkeypatch.setattr(type(parallel.FACET), "load_options", lambda *arguments: {})
    monkeypatch.setattr(type(parallel.FACET), "after_load", lambda *arguments: None)
    way = settings(pruning={"method": "structured", "amount": 0.5}, parallel={"tensor": 2})
    loading.load(checkpoint, way, CPU, None)
    assert judged == [64]


def test_no_tensor_is_shared_with_the_file(tmp_path):
    """Pruning writes into the tensors: the checkpoint must not change with them."""
    checkpoint = make_checkpoint(tmp_path / "model")
    before = load_file(checkpoint / "model.safetensors")
    before = {name: tensor.clone() for name, tensor in before.items()}
    loading.load(checkpoint, settings(pruning={"amount": 0.9}), CPU, None)
    after = load_file(checkpoint / "model.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)
