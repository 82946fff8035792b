"""Whether prompts and their headlines fit a model's positions: known before anything of it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.runtime.errors import UnsupportedError


def room(config: Any) -> int | None:
    """Positions of a model, by its transformers configuration; None where there is no limit to be known."""
    most = getattr(config, "max_position_embeddings", None)
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    if not isinstance(most, int):
        return None
    # Dynamic scaling begins where the positions end, and reaches this far.
    return int(most * rope.get("factor", 1)) if rope.get("rope_type") == "dynamic" else most


def fit(config: Any, prompt: int, new_tokens: int) -> bool:
    """Whether a prompt of so many tokens and the new ones after it fit; the last one is never fed back."""
    most = room(config)
    return most is None or prompt + new_tokens - 1 <= most


def refuse_too_long(directory: str | Path, longest: int, new_tokens: int) -> None:
    """Refuse prompts that do not fit with what follows them.

    Args:
        directory: the checkpoint.
        longest: tokens of the longest prompt.
        new_tokens: the most tokens that are generated after it.

    Raises:
        UnsupportedError: a sentence with the numbers.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(str(directory), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError):
        return  # the loader says it
    if not fit(config, longest, new_tokens):
        raise UnsupportedError(
            f"The longest prompt has {longest} tokens, and with up to {new_tokens} new ones it needs "
            f"{longest + new_tokens - 1} positions, but the '{config.model_type}' model has {room(config)}; "
            "shorten prompts or generation.max_new_tokens."
        )
