"""Random numbers without a state as a Triton kernel: bit for bit those of ``scripts.runtime.uniforms``."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from scripts.runtime.uniforms import BELOW_ONE, TOKEN_BITS

BLOCK = 1024


@triton.jit
def _halves_swapped(x):
    return (x >> 32) | (x << 32)


@triton.jit
def _uniforms(keys, positions, out, tokens, first, SHIFT: tl.constexpr, LARGEST: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(1).to(tl.int64)
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    key = tl.load(keys + row).to(tl.uint64, bitcast=True)
    position = tl.load(positions + row).to(tl.uint64)
    y = ((position << SHIFT) + (column + first).to(tl.uint64)) * key
    z = y + key
    x = _halves_swapped(y * y + y)
    x = _halves_swapped(x * x + z)
    x = _halves_swapped(x * x + y)
    bits = ((x * x + z) >> 32).to(tl.int64)
    # Adding and multiplying by a power of two are exact in the same places, fused or not.
    numbers = tl.minimum((bits.to(tl.float32) + 0.5) * 2.3283064365386963e-10, LARGEST)
    tl.store(out + row * tokens + column, numbers, mask=column < tokens)


def uniforms(keys: torch.Tensor, positions: torch.Tensor, tokens: int, first: int = 0) -> torch.Tensor:
    """A number between 0 and 1 for each token at each position: int64 [T], int [T] -> float32 [T, tokens]."""
    out = torch.empty(len(keys), tokens, dtype=torch.float32, device=keys.device)
    _uniforms[(triton.cdiv(tokens, BLOCK), len(keys))](
        keys.contiguous(), positions.contiguous(), out, tokens, first, TOKEN_BITS, BELOW_ONE, BLOCK, num_warps=4
    )
    return out
