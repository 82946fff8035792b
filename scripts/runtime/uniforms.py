"""Random numbers without a state, in plain torch: what runs on a CPU, and what the Triton kernel must match exactly."""

from __future__ import annotations

import torch

# Of a counter the bits that hold the token; those above hold the position.
TOKEN_BITS = 24
LOW = (1 << 32) - 1
BELOW_ONE = 1 - 2.0**-24  # the largest float32 below 1


def uniforms(keys: torch.Tensor, positions: torch.Tensor, tokens: int, first: int = 0) -> torch.Tensor:
    """A number between 0 and 1 for each token at each position.

    They are those of the counter-based generator Squares (Widynski, 2020, arXiv:2004.06278), which makes 32 random bits
    of a key and a counter by four rounds of squaring; here the counter is the position and the token. int64 wraps as
    the uint64 of its definition does.

    Args:
        keys: int64 [T], by :func:`scripts.runtime.drawing.key_of`.
        positions: int [T]: where the drawn token will stand in its request, from 0.
        tokens: how many tokens.
        first: the first of them.

    Returns:
        float32 [T, tokens], between 0 and 1, neither of which comes out.
    """
    ids = torch.arange(first, first + tokens, device=keys.device)
    key = keys[:, None]
    y = ((positions.long()[:, None] << TOKEN_BITS) + ids) * key
    z = y + key
    x = _halves_swapped(y * y + y)
    x = _halves_swapped(x * x + z)
    x = _halves_swapped(x * x + y)
    bits = ((x * x + z) >> 32) & LOW
    return ((bits.float() + 0.5) * 2.0**-32).clamp(max=BELOW_ONE)


def _halves_swapped(x: torch.Tensor) -> torch.Tensor:
    return ((x >> 32) & LOW) | (x << 32)
