"""Prompt lengths in buckets: few shapes to capture, and little padding."""

from __future__ import annotations

import torch

FINE, FINE_UP_TO = 16, 256  # steps of 16 up to 256 tokens
COARSE = 64


def bucket(length: int) -> int:
    """The length to which a prompt of so many tokens is padded."""
    step = FINE if length <= FINE_UP_TO else COARSE
    return max(1, -(-length // step)) * step


def pad_right(prompts: list[list[int]], width: int, pad: int) -> torch.Tensor:
    """Prompts padded on the right, and each one's length in the last column: int64 [rows, width + 1].

    On the right, so that a token's index is its position id; cache entries of the padding are overwritten before
    anything attends to them.
    """
    rows = [[*prompt, *([pad] * (width - len(prompt))), len(prompt)] for prompt in prompts]
    return torch.tensor(rows)
