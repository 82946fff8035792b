"""Models of random weights, made on the device from a shape of ``config/architectures``."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from scripts.foundation import files

SHAPES = Path(__file__).resolve().parents[2] / "config" / "architectures"
SMALL = {
    "vocab_size": 4096, "hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 512,
}  # fmt: skip


def config_of(shape: str, **changes: Any) -> LlamaConfig:
    """The configuration of a shape, or of the built-in ``small`` model, changed where given."""
    settings = SMALL if shape == "small" else files.read_json(SHAPES / f"{shape}.json")
    return LlamaConfig(**{key: value for key, value in settings.items() if key != "torch_dtype"} | changes)


def random_model(config: LlamaConfig, device: torch.device, dtype: torch.dtype, seed: int = 0) -> LlamaForCausalLM:
    """A model of random weights, made where it will run."""
    torch.manual_seed(seed)
    usual = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(usual)
    model.generation_config.eos_token_id = None  # the shape's own would end a text early
    return model.eval().requires_grad_(False)


def prompt(length: int, vocabulary: int, seed: int = 0) -> list[int]:
    """Random token ids."""
    return random.Random(seed).choices(range(1, vocabulary), k=length)
