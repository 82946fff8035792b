"""Shapes that are no powers of two and no multiples of anything, in the whole decode loop with a GPU's kernels."""

import re

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config

import tests.support.triton_device
from scripts.engine import decoder, graphs
from scripts.engine.engine import GraphEngine
from scripts.kernels import triton_ops
from scripts.runtime.errors import UnsupportedError
from scripts.runtime.models import Loaded, Process
from scripts.techniques.registry import load_facet

DEVICE = tests.support.triton_device.DEVICE
PROMPTS, NEW = [[9, 4, 30, 7], [9, 4, 25]], 3
SHAPES = {
    "width 80": (LlamaConfig, {"hidden_size": 160, "num_attention_heads": 2, "num_key_value_heads": 1}),
    "width 96": (LlamaConfig, {"hidden_size": 96, "num_attention_heads": 1, "num_key_value_heads": 1}),
    # Seven query heads a key-value head, as Qwen2-0.5B has, and biases.
    "width 8, groups of 7": (Qwen2Config, {"hidden_size": 112, "num_attention_heads": 14, "num_key_value_heads": 2}),
    # The heads together are not as wide as the model, as in Mistral-Nemo.
    "width 24 given": (
        MistralConfig,
        {"hidden_size": 40, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 24, "sliding_window": None},
    ),
    "odd sizes": (
        LlamaConfig,
        {
            "hidden_size": 90, "num_attention_heads": 3, "num_key_value_heads": 3, "intermediate_size": 51,
            "vocab_size": 97,
        },
    ),
}  # fmt: skip


def model_of(config_class, **options):
    shape = {"vocab_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "max_position_embeddings": 64}
    # Wide enough for logits that rounding can't reorder.
    config = config_class(**shape | {"initializer_range": 0.3, "pad_token_id": 0} | options)
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.normal_(std=0.5)
    return model


def by_transformers(model, prompt):
    ids = torch.tensor([prompt])
    out = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, do_sample=False, eos_token_id=None,
        pad_token_id=0,
    )  # fmt: skip
    return out[0, len(prompt) :].tolist()


def engine_of(model, batches):
    loaded = Loaded(model.to(DEVICE), Process(torch.device(DEVICE), torch.float32), {})
    engine = GraphEngine(loaded, shared_prefix=False, pad=0)
    engine.reserve(batches, NEW)
    engine.limit(NEW, [])
    return engine


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_loop_writes_the_tokens_of_transformers(shape, rows, monkeypatch):
    config_class, options = SHAPES[shape]
    model = model_of(config_class, **options)
    prompts = PROMPTS[:rows]
    expected = [by_transformers(model, prompt) for prompt in prompts]
    monkeypatch.setattr(decoder, "operations", lambda device: triton_ops)
    assert engine_of(model, [prompts]).generate(prompts).tokens == expected


def test_four_bits_in_groups_that_do_not_divide_a_layer_are_refused_by_name():
    model = model_of(LlamaConfig, hidden_size=96, num_attention_heads=1, num_key_value_heads=1)
    loaded = Loaded(model, Process(torch.device("cpu"), torch.float32), {})
    with pytest.raises(UnsupportedError, match=r"width is a multiple of 128; model\.layers\.0\.\S+ is 96 wide here\.$"):
        load_facet("quantization").after_load({"method": "int4_weight_only"}, loaded)


def test_a_kernel_that_does_not_fit_a_gpu_is_refused_before_anything_is_recorded():
    from triton.runtime.errors import OutOfResources

    def too_wide():
        raise OutOfResources(196608, 101376, "shared memory")

    sentence = "needs 196608 of a multiprocessor's shared memory for this model's heads; this GPU has 101376."
    with pytest.raises(UnsupportedError, match=re.escape(sentence)):
        graphs.warm_up(too_wide)


def test_angles_that_are_not_a_heads_are_refused_before_anything_is_recorded():
    model = model_of(LlamaConfig, hidden_size=96, num_attention_heads=1, num_key_value_heads=1)
    model.model.rotary_emb.inv_freq = model.model.rotary_emb.inv_freq[:20]
    with pytest.raises(UnsupportedError, match=r"rotates whole heads; this model rotates 40 of 96 elements\.$"):
        decoder.Decoder(model, 32)
