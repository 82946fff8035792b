"""Keys and values of a KV cache in 8 bits, in plain torch: what runs on a CPU, and what ``triton_cache`` must match.

Each token has a scale for each head's key and another for its value, the largest absolute value of the vector by the
largest number of the type: so it is known when the token is written, without calibration, and never changes. Attention
reads numbers times scales, of new tokens too: whether a token was read in a prompt, beside other requests or one step
ago, all see the same of it, up to the rounding of the activations' type.
"""

from __future__ import annotations

import torch

# By name as a technique gives them, and the largest number of each.
DTYPES = {"fp8": torch.float8_e4m3fn, "int8": torch.int8}
LARGEST = {torch.float8_e4m3fn: 448.0, torch.int8: 127.0}
SMALLEST_SCALE = 2.0**-100  # of a vector of zeros, so that nothing is divided by zero
SCALE_DTYPE = torch.float32

Scales = tuple[torch.Tensor, torch.Tensor]  # of keys and of values, float32 [rows, key-value heads, positions] each


def quantise(x: torch.Tensor, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors [..., D] -> numbers of that type, [..., D], and their scales, float32 [...]."""
    wide = x.float()
    scales = (wide.abs().amax(-1) * (1 / LARGEST[dtype])).clamp(min=SMALLEST_SCALE)
    numbers = wide / scales[..., None]
    return (numbers.round() if dtype == torch.int8 else numbers).to(dtype), scales


def restore(numbers: torch.Tensor, scales: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What attention reads: [..., D] in the activations' type."""
    return (numbers.float() * scales[..., None]).to(dtype)


def write(cache: torch.Tensor, scales: torch.Tensor, place: tuple, x: torch.Tensor) -> torch.Tensor:
    """Put vectors [..., D] in a place of a quantised cache.

    Returns:
        What attention will read of them, [..., D].
    """
    numbers, own = quantise(x, cache.dtype)
    cache.view(torch.uint8)[place] = numbers.view(torch.uint8)  # not all devices index 8-bit floats
    scales[place] = own
    return restore(numbers, own, x.dtype)
