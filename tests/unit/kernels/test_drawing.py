"""Tokens are drawn by their probabilities, with noise that belongs to request, position and token alone."""

import dataclasses

import numpy
import pytest
import torch
from scipy import stats
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from scripts.runtime import uniforms
from scripts.runtime.drawing import Sampler, key_of
from scripts.runtime.gumbel import RowDraws, kept, perturbed

LOGITS = torch.linspace(2.0, -2.0, 12)
DRAWS = 20_000
SUSPICIOUS = 1e-4  # of the seeds that are fixed here none comes near it
CPU = torch.device("cpu")
CASES = [
    {"temperature": 1.0}, {"temperature": 0.5}, {"temperature": 2.0}, {"temperature": 1.0, "top_k": 4},
    {"temperature": 1.0, "top_p": 0.7}, {"temperature": 1.5, "top_k": 8, "top_p": 0.8},
]  # fmt: skip


def chances(options):
    """What transformers' own warpers leave of the probabilities."""
    scores = TemperatureLogitsWarper(options["temperature"])(None, LOGITS[None])
    if "top_k" in options:
        scores = TopKLogitsWarper(options["top_k"])(None, scores)
    if "top_p" in options:
        scores = TopPLogitsWarper(options["top_p"])(None, scores)
    return scores.softmax(dim=-1)[0].double().numpy()


def tokens(options, keys, positions):
    sampler, rows = Sampler(**options), len(keys)
    draws = dataclasses.replace(RowDraws.of(sampler, rows, CPU), keys=torch.tensor(keys))
    return perturbed(LOGITS.expand(rows, -1), torch.tensor(positions), draws).argmax(dim=-1).numpy()


def p_value(found, expected):
    counts, possible = numpy.bincount(found, minlength=len(expected)), expected > 0
    if counts[~possible].any():
        return 0.0
    return stats.chisquare(counts[possible], expected[possible] / expected[possible].sum() * len(found)).pvalue


@pytest.mark.parametrize("options", CASES, ids=str)
def test_draws_of_one_prompt_have_the_frequencies_of_its_probabilities(options):
    keys = [key_of(3, [5, 6, 7], draw) for draw in range(DRAWS)]
    assert p_value(tokens(options, keys, [3] * DRAWS), chances(options)) > SUSPICIOUS


def test_so_have_the_positions_of_one_answer_and_other_prompts():
    positions = list(range(DRAWS))
    assert p_value(tokens(CASES[0], [key_of(0, [1], 0)] * DRAWS, positions), chances(CASES[0])) > SUSPICIOUS
    keys = [key_of(0, [1, prompt], 0) for prompt in range(DRAWS)]
    assert p_value(tokens(CASES[0], keys, [2] * DRAWS), chances(CASES[0])) > SUSPICIOUS


def test_noise_that_ignores_the_draw_is_found():
    keys = [key_of(3, [5, 6, 7], 0) for _ in range(DRAWS)]
    assert p_value(tokens(CASES[0], keys, [3] * DRAWS), chances(CASES[0])) < SUSPICIOUS


def test_neighbouring_positions_and_tokens_are_independent():
    keys = torch.tensor([key_of(0, [1], 0)] * 4000)
    numbers = uniforms.uniforms(keys, torch.arange(4000), 50).double()
    assert abs(float(numbers.mean()) - 0.5) < 0.003
    for one, other in ((numbers[1:], numbers[:-1]), (numbers[:, 1:], numbers[:, :-1])):
        assert abs(numpy.corrcoef(one.flatten(), other.flatten())[0, 1]) < 0.01
    assert 0 < float(numbers.min()) < float(numbers.max()) < 1


def test_the_generator_is_squares():
    """By its definition in whole numbers of any size."""
    key, position, token, mask = key_of(7, [1, 2], 3) % 2**64, 41, 1234, 2**64 - 1
    y = x = ((position << 24) + token) * key & mask
    z = (y + key) & mask
    for added in (y, z, y):
        x = (x * x + added) & mask
        x = (x >> 32) | (x << 32) & mask
    bits = ((x * x + z) & mask) >> 32
    (found,) = uniforms.uniforms(torch.tensor([key_of(7, [1, 2], 3)]), torch.tensor([41]), 1, first=1234)[0]
    assert float(found) == pytest.approx((bits + 0.5) / 2**32, abs=1e-7)


@pytest.mark.parametrize("options", CASES, ids=str)
def test_filters_are_those_of_transformers(options):
    scores = torch.randn(64, 301, generator=torch.Generator().manual_seed(1)) * 4
    draws = RowDraws.of(Sampler(**options), 64, CPU)
    ours = kept(scores / options["temperature"], draws.top_k, draws.cut)
    theirs = TemperatureLogitsWarper(options["temperature"])(None, scores)
    for name, warper in (("top_k", TopKLogitsWarper), ("top_p", TopPLogitsWarper)):
        theirs = warper(options[name])(None, theirs) if name in options else theirs
    assert torch.equal(ours, theirs)


def test_rows_are_drawn_each_in_its_own_way():
    draws = RowDraws.of(Sampler(1.0, 0.9, 3), 3, CPU)
    draws.keys.copy_(torch.tensor([key_of(0, [row], 0) for row in range(3)]))
    draws.temperature[1] = 0
    draws.top_k[2] = 1
    chosen = perturbed(LOGITS.expand(3, -1), torch.tensor([5, 5, 5]), draws).argmax(dim=-1)
    assert chosen[1] == chosen[2] == 0  # greedy, and one token left
    alone = perturbed(LOGITS[None], torch.tensor([5]), draws.first(1)).argmax(dim=-1)
    assert chosen[0] == alone[0]


def test_keys_belong_to_seed_prompt_and_draw():
    keys = {key_of(seed, prompt, draw) for seed in (0, 1) for prompt in ([1, 2], [2, 1], [1]) for draw in (0, 1, 2)}
    assert len(keys) == 18
    assert all(key % 2 for key in keys)
