"""A decode loop with a real fault is thrown out by its tokens, and what only rounds otherwise is not."""

import pytest
import torch

from scripts.comparison import matches
from scripts.kernels import reference
from tests.support.worker_runs import run_worker


def audit(ours, parent):
    """Judge one run's samples against another's."""

    def samples(run):
        keys = ("id", "token_ids", "headline", "margins", "runners_up", "margin_shifts")
        return {key: [sample.get(key) for sample in run.samples] for key in keys}

    metrics = [
        {"technique": name, "samples": samples(run), "models": {"target": {"dtype": "float32"}}}
        for name, run in (("engine", ours), ("parent", parent))
    ]
    return matches.matches(*metrics, lossless=True)["audit"]


@pytest.fixture(scope="module")
def parent(checkpoint, evaluation_set):
    return run_worker(checkpoint, evaluation_set, {}, thorough=True)


def rotated_too_far(monkeypatch):
    """The angles of new tokens are those of the next position."""
    position_info = reference.position_info

    def wrong(positions, count, rope, *more):
        behind = reference.Rope(rope.cos.roll(-1, 0), rope.sin.roll(-1, 0))
        return position_info(positions, count, behind, *more)

    monkeypatch.setattr(reference, "position_info", wrong)


def stale_entry(monkeypatch):
    """Of every fourth token the first layer's keys stay what they were before."""
    attend, calls = reference.decode_attention, []

    def wrong(qkv, keys, values, positions, *arguments, **options):
        place, before = int(positions[0]), keys.clone()
        out = attend(qkv, keys, values, positions, *arguments, **options)
        calls.append(place)
        if len(calls) % 8 == 1:  # of two layers
            keys[:, :, place] = before[:, :, place]
        return out

    monkeypatch.setattr(reference, "decode_attention", wrong)


def dropped_head(monkeypatch):
    """One head of each layer adds nothing."""
    attend = reference.decode_attention

    def wrong(qkv, keys, values, positions, heads, *arguments, **options):
        out = attend(qkv, keys, values, positions, heads, *arguments, **options)
        return torch.cat((torch.zeros_like(out[:, : heads.width]), out[:, heads.width :]), dim=1)

    monkeypatch.setattr(reference, "decode_attention", wrong)


@pytest.mark.parametrize("fault", [rotated_too_far, stale_entry, dropped_head])
def test_a_real_fault_is_thrown_out(parent, checkpoint, evaluation_set, fault, monkeypatch):
    fault(monkeypatch)
    found = audit(run_worker(checkpoint, evaluation_set, {"engine": "graph"}), parent)
    assert found["verdict"] == "error", found
    assert found["gap_bound"] < 1e-3


def test_the_same_loop_without_a_fault_is_not(parent, checkpoint, evaluation_set):
    assert audit(run_worker(checkpoint, evaluation_set, {"engine": "graph"}), parent)["verdict"] == "identical"


def test_ties_that_another_order_of_sums_turns_are_accepted(checkpoint, evaluation_set, monkeypatch):
    """Every second token's row of the head is the one before, but for the last bits: rounding alone decides."""
    from scripts.inference import preparation

    load = preparation.load

    def with_ties(*arguments):
        loaded = load(*arguments)
        head = loaded.model.lm_head.weight
        with torch.no_grad():
            head[1::2] = head[::2] * (
                1 + 2.0**-23 * torch.randn(head[::2].shape, generator=torch.Generator().manual_seed(1))
            )
        return loaded

    monkeypatch.setattr(preparation, "load", with_ties)
    parent = run_worker(checkpoint, evaluation_set, {}, thorough=True)

    # The sum over a layer's two halves, as two ranks add it.
    linear = reference.linear

    def in_halves(x, matrix, *, norm=None, residual=None):
        if norm is not None:
            x = reference.rms_norm(x, norm)
        half = x.shape[-1] // 2
        low, high = (reference.Matrix("dense", part.contiguous()) for part in matrix.data.split(half, dim=1))
        return linear(x[:, :half], low, residual=residual) + linear(x[:, half:], high)

    monkeypatch.setattr(reference, "linear", in_halves)
    found = audit(run_worker(checkpoint, evaluation_set, {"engine": "graph"}), parent)
    assert found["verdict"] == "tie", found
    assert found["ties"] > 0
