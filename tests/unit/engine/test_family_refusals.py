"""Configurations that the graph engine does not run: one right sentence for each, whatever they lack."""

import re
from types import SimpleNamespace

import pytest
import torch
import transformers
from torch import nn

from scripts.engine import family
from scripts.engine.decoder import Decoder
from scripts.engine.modules import norm_of
from scripts.runtime.errors import UnsupportedError
from scripts.techniques.registry import load_facet
from tests.support import families

SENTENCES = {
    "GPT2Config": "this is a 'gpt2' model.",
    "T5Config": "this is a 't5' model, which has an encoder beside its decoder.",
    "MixtralConfig": "this is a 'mixtral' model, which routes tokens to experts (num_local_experts: 8).",
    "Qwen3MoeConfig": "this is a 'qwen3_moe' model, which routes tokens to experts (num_local_experts: 128).",
    "MambaConfig": "this is a 'mamba' model, which keeps a recurrent state instead of keys and values.",
    "Gemma3Config": "which wraps a text model ('gemma3_text') together with other parts; give the text model alone.",
    "GraniteConfig": "this is a 'granite' model.",
    "PreTrainedConfig": "this is a 'nameless' model.",
}
OF_A_FAMILY = {
    "a field that lacks": ({"vocab_size": None}, "The graph engine needs 'vocab_size', which this llama model"),
    "no activation": ({"hidden_act": None}, "this LlamaForCausalLM has none that its configuration names."),
    "relu": ({"hidden_act": "relu"}, "this LlamaForCausalLM has relu."),
    "chunks": ({"layer_types": ["chunked_attention"] * 3}, "this model has 'chunked_attention' layers."),
    "few types": ({"layer_types": ["full_attention"]}, "This model's configuration types 1 of its 3 layers."),
    "no window": ({"layer_types": ["sliding_attention"] * 3}, "sliding-window layers, but no 'sliding_window'."),
    "both ways": ({"use_bidirectional_attention": True}, "this model's see all."),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_another_architecture_is_named_with_what_is_foreign(name):
    config = getattr(transformers, name)()
    with pytest.raises(UnsupportedError, match=f"{re.escape(SENTENCES[name])}$"):
        load_facet("engine").check_model(load_facet("engine").resolve("graph"), config)
    for value in ({"tensor": 2, "pipeline": 1}, {"tensor": 1, "pipeline": 2}):
        try:
            load_facet("parallel").check_model(value, config)
            load_facet("parallel").change_config(value, config)
        except UnsupportedError as error:
            assert str(error).endswith(".")  # noqa: PT017 - some of them can be split


@pytest.mark.parametrize("case", OF_A_FAMILY)
def test_what_a_known_architecture_lacks_is_named(case):
    changed, sentence = OF_A_FAMILY[case]
    plain = {"model_type": "llama", "hidden_act": "silu", **families.SHAPE}
    config = SimpleNamespace(**{key: value for key, value in (plain | changed).items() if value is not None})
    with pytest.raises(UnsupportedError, match=re.escape(sentence)):
        family.check(config)


def test_a_configuration_without_anything_is_refused():
    with pytest.raises(UnsupportedError, match="this is a 'nameless' model"):
        family.check(SimpleNamespace())


def test_requests_beyond_the_angles_of_longrope_are_refused():
    config = families.config_of("phi4")
    family.refuse_too_long(config, 64)
    with pytest.raises(UnsupportedError, match="a request is longer than 64 tokens, and prompt and headline have 65"):
        family.refuse_too_long(config, 65)
    with pytest.raises(UnsupportedError, match="129 tokens don't fit a model of 128 positions"):
        family.refuse_too_long(families.config_of("llama"), 129)


class Odd(nn.Module):
    """Neither a weight nor an offset from 1."""

    def __init__(self, width, eps=1e-6):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        return x * self.weight.pow(2)


def with_parts(change):
    model = families.model_of("llama")
    change(model.model)
    return model


CHANGED = {
    "another part": (
        lambda model: model.layers[1].register_module("gate", nn.Linear(4, 4)), "LlamaDecoderLayer that has 'gate'",
    ),
    "a parameter": (
        lambda model: model.layers[1].mlp.register_parameter("scale", nn.Parameter(torch.ones(1))),
        "LlamaMLP that has 'scale'",
    ),
    "no norm": (
        lambda model: delattr(model.layers[0], "post_attention_layernorm"), "lacks 'post_attention_layernorm'",
    ),
    "an activation of its own": (lambda model: setattr(model.layers[0].mlp, "act_fn", nn.Tanh()), "activation of Lla"),
    "another activation": (
        lambda model: setattr(model.layers[0].mlp, "act_fn", nn.GELU()), "names silu, but its layers compute gelu",
    ),
    "a norm of its own": (lambda model: setattr(model, "norm", Odd(128)), "does not compute the norm Odd"),
    "another window": (
        lambda model: setattr(model.layers[0].self_attn, "sliding_window", 4), "but its layer has one of 4",
    ),
    "an embedding of its own": (lambda model: setattr(model, "embed_tokens", nn.Linear(4, 4)), "embedding Linear"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGED)
def test_modules_that_compute_something_else_are_refused(case):
    change, sentence = CHANGED[case]
    with pytest.raises(UnsupportedError, match=re.escape(sentence)):
        Decoder(with_parts(change), 32)


def test_norms_are_told_apart_by_what_they_compute():
    assert not norm_of(families.model_of("llama").model.norm).offset
    assert norm_of(families.model_of("gemma").model.norm).offset
