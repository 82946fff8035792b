"""Saving a model's configuration and weights as a checkpoint directory."""

from pathlib import Path
from typing import Any

from scripts.foundation import files
from scripts.models import checkpoint
from scripts.models import tokenizer as tokenizers
from scripts.models.source import Job


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


def manifest(job: Job) -> dict[str, Any]:
    """What the manifest says of a checkpoint that was made in the job's folder."""
    return {
        "path": ".",
        "parameters": checkpoint.parameters(job.output),
        "dtype": job.dtype,
        "architecture": checkpoint.basics(checkpoint.read_config(job.output)),
        "tokenizer_digest": files.sha256(job.output / "tokenizer.json"),
        "weights_digest": checkpoint.weights_digest(job.output),
        "seed": job.seed,
    }
