"""Saving a model's configuration and weights as a checkpoint directory."""

from pathlib import Path
from typing import Any

from scripts.models import tokenizer as tokenizers


def save_generation_config(directory: Path) -> None:
    """Write a ``generation_config.json`` that decodes greedily and ends at the tokenizer's end token."""
    from transformers import GenerationConfig

    GenerationConfig(
        bos_token_id=tokenizers.BEGIN_ID,
        eos_token_id=tokenizers.END_ID,
        pad_token_id=tokenizers.PAD_ID,
        do_sample=False,
    ).save_pretrained(directory)


def save_model(model: Any, dtype: str, directory: Path) -> None:
    """Write weights in ``dtype`` as safetensors, with the configurations. The model is converted in place."""
    import torch

    model.to(getattr(torch, dtype))
    model.config.dtype = getattr(torch, dtype)
    model.save_pretrained(directory)
    save_generation_config(directory)
