"""Rotary embedding and head-width padding, shared by the attention kernels.

In the kernels W is a head's width D rounded up to a power of two, as Triton's tiles need it; elements from the D-th on
are read as zero and not written. Where D is W no mask is compiled. Of the D elements the first R are rotated, mostly
all; the angles of the others have a cosine of 1 and a sine of 0, so that it does not matter which partner they get.
"""

from __future__ import annotations

import triton
import triton.language as tl

MIN_DOT_WIDTH = 16  # the least that tl.dot multiplies


@triton.jit
def load_head(pointer, d, D: tl.constexpr, W: tl.constexpr):
    """Elements d of heads that all exist; pointer and d have the same rank."""
    return tl.load(pointer) if W == D else tl.load(pointer, mask=d < D, other=0.0)


@triton.jit
def head_mask(mask, d, D: tl.constexpr, W: tl.constexpr):
    """A mask of heads, [..., 1], without the padding of their width; d is [1, W]."""
    if W != D:
        mask = mask & (d < D)
    return mask


@triton.jit
def rotate(x, partner, cos, sin, first_half):
    """Rotate; each product is rounded, as it is where the operations are separate. ``partner``: the other half's x."""
    dtype = x.dtype
    partner = partner.to(tl.float32)
    straight = (x.to(tl.float32) * cos.to(dtype).to(tl.float32)).to(dtype)
    across = (tl.where(first_half, -partner, partner) * sin.to(dtype).to(tl.float32)).to(dtype)
    return (straight.to(tl.float32) + across.to(tl.float32)).to(dtype)


def padded_width(width: int) -> int:
    """The width of a tile that holds heads of that width."""
    return max(MIN_DOT_WIDTH, triton.next_power_of_2(width))
