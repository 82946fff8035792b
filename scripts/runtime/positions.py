"""Whether prompts and headlines fit a model's maximum number of positions, checked before it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.runtime.errors import UnsupportedError


def max_positions(config: Any) -> int | None:
    """Maximum number of positions by a transformers configuration; None if it names no limit."""
    most = getattr(config, "max_position_embeddings", None)
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    if not isinstance(most, int):
        return None
    # Dynamic RoPE scaling extends the original positions by this factor.
    return int(most * rope.get("factor", 1)) if rope.get("rope_type") == "dynamic" else most


def fits(config: Any, prompt: int, new_tokens: int) -> bool:
    """Whether a prompt of so many tokens and the new ones after it fit; the last one is never fed back."""
    limit = max_positions(config)
    return limit is None or prompt + new_tokens - 1 <= limit


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
    if not fits(config, longest, new_tokens):
        raise UnsupportedError(
            f"The longest prompt has {longest} tokens, and with up to {new_tokens} new ones it needs "
            f"{longest + new_tokens - 1} positions, but the '{config.model_type}' model has {max_positions(config)}; "
            "shorten prompts or generation.max_new_tokens."
        )
