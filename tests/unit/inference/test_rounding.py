"""How far another order of sums moves logits: held against what other orders of the same sums really do."""

import copy

import pytest
import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from scripts.inference.likelihood import greedy_margins
from scripts.inference.rounding import perturbed_sums, spread
from scripts.metrics.rounding import measured
from scripts.runtime.models import Loaded, Process

TOKENS = [[9, 4, 30, 7, 11, 250, 3, 77, 140, 5, 62, 8], [17, 101, 33, 2, 64, 5, 9, 200, 13, 88, 41, 6]]
PROMPT = 4


@pytest.fixture(scope="module")
def model():
    config = LlamaConfig(
        vocab_size=320, hidden_size=128, intermediate_size=344, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.15, pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    return LlamaForCausalLM(config).eval()


def choices(model, row):
    loaded = Loaded(model, Process(torch.device("cpu"), torch.float32), {})
    return greedy_margins(loaded, row[:PROMPT], row[PROMPT:], rounding=True)


def permuted(model):
    """The same model, whose feed-forward sums and whose sums over the model's width run in another order."""
    other = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(5)
    width, inner = model.config.hidden_size, model.config.intermediate_size
    hidden, channels = torch.randperm(width, generator=generator), torch.randperm(inner, generator=generator)
    with torch.no_grad():
        other.model.embed_tokens.weight.copy_(other.model.embed_tokens.weight[:, hidden])
        other.lm_head.weight.copy_(other.lm_head.weight[:, hidden])
        other.model.norm.weight.copy_(other.model.norm.weight[hidden])
        for layer in other.model.layers:
            for norm in (layer.input_layernorm, layer.post_attention_layernorm):
                norm.weight.copy_(norm.weight[hidden])
            attention, feed_forward = layer.self_attn, layer.mlp
            for each in (attention.q_proj, attention.k_proj, attention.v_proj):
                each.weight.copy_(each.weight[:, hidden])
            for each in (feed_forward.gate_proj, feed_forward.up_proj):
                each.weight.copy_(each.weight[channels][:, hidden])
            attention.o_proj.weight.copy_(attention.o_proj.weight[hidden])
            feed_forward.down_proj.weight.copy_(feed_forward.down_proj.weight[hidden][:, channels])
    return other


@torch.inference_mode()
def token_by_token(model, row):
    """Logits of each token behind the prompt, through a cache: [tokens, vocabulary]."""
    cache, found = DynamicCache(), []
    for part in ([row[:PROMPT]], *([[token]] for token in row[PROMPT:-1])):
        found.append(model(torch.tensor(part), past_key_values=cache, use_cache=True).logits[0, -1])
    return torch.stack(found)


@torch.inference_mode()
def whole(model, row):
    return model(torch.tensor([row])).logits[0, PROMPT - 1 : -1]


def moved(model, ways):
    """How far each way moves the margins that were recorded, one number a token."""
    found = []
    for row in TOKENS:
        mine = choices(model, row)
        own, rivals = torch.tensor(row[PROMPT:])[:, None], torch.tensor(mine["runners_up"])[:, None]
        for way in ways:
            logits = way(row)
            margins = (logits.gather(1, own) - logits.gather(1, rivals))[:, 0]
            found += (margins - torch.tensor(mine["margins"])).tolist()
    return torch.tensor(found)


def rounding_of(model):
    found = [choices(model, row) for row in TOKENS]
    return measured([each["margins"] for each in found], [each["margin_shifts"] for each in found])


def test_what_is_measured_covers_what_other_orders_of_the_same_sums_do(model):
    other, rounding = permuted(model), rounding_of(model)
    real = moved(model, [lambda row: whole(other, row), lambda row: token_by_token(model, row)])
    assert real.abs().max() > 0
    assert real.abs().max() <= rounding.bound
    # And is of their size: less than the longest order could do, as spread() says of 344 terms against 9 in a tree.
    assert rounding.scale < 20 * real.pow(2).mean().sqrt()


def test_a_change_that_is_no_rounding_is_beyond_it(model):
    """One weight of a hundred thousand."""
    broken, rounding = copy.deepcopy(model), rounding_of(model)
    with torch.no_grad():
        broken.model.layers[0].mlp.down_proj.weight[0, 0] += 0.05
    assert moved(model, [lambda row: whole(broken, row)]).abs().max() > rounding.bound


def test_sums_in_float32_are_off_by_what_is_said_at_most():
    generator = torch.Generator().manual_seed(0)
    terms = torch.randn(400, 2048, generator=generator)
    forward, exact = torch.zeros(400), terms.double().sum(dim=1)
    for column in terms.T:
        forward += column
    error = (forward.double() - exact).pow(2).mean().sqrt() / exact.pow(2).mean().sqrt()
    # Two orders differ by the root of two times the error of one.
    assert 0.5 < float(error) * 2**0.5 / spread(2048) < 1.2


def test_the_model_is_as_before_afterwards(model):
    before = whole(model, TOKENS[0])
    with perturbed_sums(model, seed=0):
        assert not torch.equal(whole(model, TOKENS[0]), before)
    assert torch.equal(whole(model, TOKENS[0]), before)


def test_the_same_is_measured_each_time(model):
    assert choices(model, TOKENS[0]) == choices(model, TOKENS[0])
