"""Distributions along the reference headlines: kept by real runs, and compared with those of another."""

import itertools

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from scripts.foundation import files
from scripts.foundation.errors import StudyError
from scripts.inference import distributions as kept
from scripts.metrics import distributions, figures
from scripts.metrics.families import distributions as family
from scripts.metrics.recorded import Recorded
from tests.support.tiny_checkpoint import make_checkpoint
from tests.support.worker_runs import request


@pytest.fixture
def recorded(evaluation_set, tmp_path):
    """Runs a worker as run 1 is made, and returns the file of its distributions."""
    from scripts.inference import worker

    numbers = itertools.count()

    def of(checkpoint, facets=None, **options):
        scratch = tmp_path / str(next(numbers))
        scratch.mkdir()
        path = scratch / kept.PART
        asked = request(checkpoint, evaluation_set, facets or {}, thorough=True, **options)
        outcome = worker.run(asked | {"distributions": str(path)}, 0, scratch)
        assert outcome["status"] == "ok", outcome["reason"]
        kept.settle(scratch, measured=True)
        return scratch / kept.FILE

    return of


def compared(own, parent, prompts=4):
    return distributions.compare(own, parent, "parent", prompts)


def mean(found):
    return sum(found.divergence) / sum(found.positions)


def test_a_lossless_technique_has_its_parents_distributions(checkpoint, recorded, evaluation_set):
    count = len(files.read_json_lines(evaluation_set))
    found = compared(recorded(checkpoint, {"batch_size": 2}), recorded(checkpoint), count)
    assert found.reason is None
    assert mean(found) < 1e-6
    assert found.agree == found.positions
    assert len(found.positions) == count
    assert min(found.positions) > 0


def test_two_different_models_have_different_distributions(checkpoint, recorded, evaluation_set, tmp_path):
    count = len(files.read_json_lines(evaluation_set))
    own = recorded(checkpoint)
    pruned = recorded(checkpoint, {"pruning": {"method": "magnitude", "amount": 0.5}})
    quantised = recorded(checkpoint, {"quantization": "int8_weight_only"})
    more, less = (mean(compared(each, own, count)) for each in (pruned, quantised))
    assert more > 10 * less > 0
    other = recorded(make_checkpoint(tmp_path / "other", seed=7))
    assert mean(compared(other, own, count)) > more / 100
    assert sum(compared(other, own, count).agree) < sum(compared(other, own, count).positions)


def test_the_divergence_is_that_of_all_tokens_at_each_position(checkpoint, recorded, evaluation_set, tmp_path):
    """Held against torch's own, from forwards of another kind over the same text."""
    rows = files.read_json_lines(evaluation_set)
    other = make_checkpoint(tmp_path / "other", seed=7)
    found = compared(recorded(other), recorded(checkpoint), len(rows))
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    models = [AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32) for path in (checkpoint, other)]
    expected = []
    for row in rows:
        prompt = tokenizer(f"Write: {row['summary']}")["input_ids"]
        reference = tokenizer(f" {row['headline']}", add_special_tokens=False)["input_ids"]
        ids = torch.tensor([prompt + reference])
        with torch.no_grad():
            theirs, ours = (model(ids).logits[0, len(prompt) - 1 :].log_softmax(-1) for model in models)
        expected.append(float(torch.nn.functional.kl_div(ours, theirs, log_target=True, reduction="sum")))
    assert found.divergence == pytest.approx(expected, rel=2e-3, abs=1e-5)


def test_the_file_is_bounded_by_a_sample_of_positions_that_is_the_same_for_all(tmp_path, monkeypatch):
    draw = torch.Generator().manual_seed(0)
    references = [[5] * 7, None, [6] * 11, [7] * 5]
    monkeypatch.setattr(kept, "MAX_BYTES", 2 * 64 * 6)

    def write(name, shift):
        recorder = kept.Recorder(references)
        for prompt, ids in enumerate(references):
            if ids is not None:
                logits = torch.randn(len(ids) + 1, 64, generator=draw) + shift * torch.arange(64.0) / 64
                recorder.add(prompt, logits.log_softmax(-1))
        recorder.write(tmp_path / name)
        return tmp_path / name

    first, second = write("a.npz", 0), write("b.npz", 1)
    content = np.load(first)
    assert content["log_probabilities"].shape == (6, 64)
    assert set(content["prompt"]) == {0, 2, 3}
    found = compared(first, second)
    assert sum(found.positions) == 6
    assert found.positions[1] == 0
    figure = family.compute(Recorded([_ok()], distributions=found))[family.KL]
    assert figure["value"] == pytest.approx(mean(found))
    assert "at 6 positions" in figure["note"]


def test_a_figure_has_an_interval_over_prompts():
    draw = np.random.default_rng(0)
    found = distributions.Compared("parent", None, draw.uniform(0, 1, 40).tolist(), [9] * 40, [10] * 40)
    kl, top = family.compute(Recorded([_ok()], distributions=found)).values()
    assert kl["unit"] == "nats/token"
    assert kl["n"] == 40
    assert 0.03 < kl["low"] < kl["value"] < kl["high"] < 0.07
    assert top["value"] == pytest.approx(0.9)


def test_what_can_not_be_compared_says_why(tmp_path):
    files_of = {}
    for name, vocabulary, token in (("own", 8, 3), ("other vocabulary", 9, 3), ("other tokens", 8, 4)):
        recorder = kept.Recorder([[token, token]])
        recorder.add(0, torch.zeros(3, vocabulary).log_softmax(-1))
        recorder.write(tmp_path / f"{name}.npz")
        files_of[name] = tmp_path / f"{name}.npz"
    (tmp_path / "none.npz").write_bytes(b"")
    own = files_of["own"]
    assert distributions.compare(own, None, None, 1).reason == "it has no parent"
    assert "left no distributions" in compared(own, tmp_path / "none.npz", 1).reason
    assert "vocabulary has 8 tokens and that of parent 9" in compared(own, files_of["other vocabulary"], 1).reason
    assert "other tokens" in compared(own, files_of["other tokens"], 1).reason
    reason = compared(own, None, 1).reason
    figure = family.compute(Recorded([_ok()], distributions=compared(own, None, 1)))[family.KL]
    assert (figure["value"], figure["note"], figure["unit"]) == (
        None,
        reason,
        figures.missing("nats/token", "")["unit"],
    )


@pytest.mark.parametrize("content", [b"damaged", None])
def test_damaged_distributions_are_refused_in_a_sentence(tmp_path, content):
    path = tmp_path / "distributions.npz"
    if content is None:
        np.savez(path, log_probabilities=np.zeros((1, 4), np.float16), prompt=np.array([9]), position=np.array([0]),
                 token=np.array([0]), top=np.array([0]))  # fmt: skip
    else:
        path.write_bytes(content)
    with pytest.raises(StudyError, match="make it again"):
        compared(path, path, 1)


def _ok():
    from pathlib import Path

    from scripts.metrics.runs import Run

    return Run(Path("run-1"), {"status": "ok", "models": {"target": {}}, "settings": {}}, [])
