"""Drawn answers: by the probabilities there are, and by nothing else than prompt, position and seed."""

import numpy
import pytest

from scripts.inference.drawing import Sampler, uniforms
from tests.support.worker_runs import run_worker

LOGITS = [2.0, 1.0, 0.0, -1.0]


def shares(**options):
    import torch

    rows = 20_000
    prompts = [str(row) for row in range(rows)]
    draw = Sampler(**options).processor(prompts, 3, 2, torch.device("cpu"))
    ids = torch.zeros(rows, 4, dtype=torch.long)  # one token is out already
    scores = draw(ids, torch.tensor(LOGITS).repeat(rows, 1))
    assert ((scores == 0).sum(dim=1) == 1).all()
    return numpy.bincount(scores.argmax(dim=1).numpy(), minlength=4) / rows


@pytest.mark.parametrize(
    ("options", "weights"),
    [
        ({"temperature": 1}, numpy.exp(LOGITS)),
        ({"temperature": 0.5}, numpy.exp(2 * numpy.array(LOGITS))),
        ({"temperature": 1, "top_k": 2}, numpy.exp(LOGITS) * [1, 1, 0, 0]),
        ({"temperature": 1, "top_p": 0.7}, numpy.exp(LOGITS) * [1, 1, 0, 0]),
    ],
)
def test_tokens_are_drawn_by_their_probabilities(options, weights):
    found = shares(**options)
    assert found == pytest.approx(weights / weights.sum(), abs=0.015)
    assert (found[weights == 0] == 0).all()


def test_a_prompts_numbers_are_its_own_and_the_seeds():
    assert uniforms(0, "a", 4).tolist() == uniforms(0, "a", 9)[:4].tolist()
    assert set(uniforms(0, "a", 4)).isdisjoint([*uniforms(1, "a", 4), *uniforms(0, "b", 4)])


def test_answers_depend_on_the_seed_and_not_on_the_batch(checkpoint, evaluation_set):
    drawn = {"temperature": 1.0, "top_p": 0.95, "top_k": None, "seed": 3}
    alone = run_worker(checkpoint, evaluation_set, {}, sampling=drawn, thorough=True)
    together = run_worker(checkpoint, evaluation_set, {"batch_size": 3}, sampling=drawn)
    without = run_worker(checkpoint, evaluation_set, {"kv_cache": "none"}, sampling=drawn)
    greedy = run_worker(checkpoint, evaluation_set, {})
    other = run_worker(checkpoint, evaluation_set, {}, sampling=drawn | {"seed": 4})
    shared = run_worker(checkpoint, evaluation_set, {"prefix_cache": True, "batch_size": 3}, sampling=drawn)
    assert alone.tokens == together.tokens == without.tokens == shared.tokens
    assert len({str(run.tokens) for run in (alone, greedy, other)}) == 3
    assert alone.outcome["generation"]["sampling"] == drawn
    assert any(sample["argmax_agrees"] < sample["new_tokens"] for sample in alone.samples)


def test_a_temperature_near_nought_is_greedy(checkpoint, evaluation_set):
    drawn = {"temperature": 1e-4, "top_p": 1, "top_k": None, "seed": 0}
    cold = run_worker(checkpoint, evaluation_set, {"batch_size": 2}, sampling=drawn, stop="line_break")
    assert cold.tokens == run_worker(checkpoint, evaluation_set, {"batch_size": 2}, stop="line_break").tokens
