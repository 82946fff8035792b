"""Keys and values of a KV cache in 8 bits, as the attention kernels write and read them; ``quantised_cache`` explains.

FORM says how the cache's numbers are stored: as the activations are, as whole numbers, as 8-bit floats that the GPU
converts, or as the bits of such floats, which older GPUs (and Triton's interpreter) convert by arithmetic. Where FORM
is PLAIN nothing of this is compiled, and the scales are not touched.
"""

from __future__ import annotations

import functools

import torch
import triton
import triton.language as tl

from scripts.kernels.quantised_cache import LARGEST, SMALLEST_SCALE, Scales
from scripts.kernels.triton_rotary import head_mask

PLAIN = tl.constexpr(0)
INT8 = tl.constexpr(1)
FP8 = tl.constexpr(2)
FP8_BITS = tl.constexpr(3)
CONVERTS_FP8 = (8, 9)  # the first compute capability with instructions for it

_TO_INT8 = tl.constexpr(1 / LARGEST[torch.int8])
_TO_FP8 = tl.constexpr(1 / LARGEST[torch.float8_e4m3fn])
_LARGEST_FP8 = tl.constexpr(LARGEST[torch.float8_e4m3fn])
_SMALLEST_SCALE = tl.constexpr(SMALLEST_SCALE)
_ROUND = tl.constexpr(1.5 * 2.0**23)  # added and taken away again, it rounds to the nearest whole number


@triton.jit
def scale_of(x, AXIS: tl.constexpr, FORM: tl.constexpr):
    """The scale of each vector along an axis."""
    # As whole numbers, absolute values stand in the same order, and those that are no number above all others.
    bits = x.to(tl.float32).to(tl.int32, bitcast=True) & 0x7FFFFFFF
    top = tl.max(bits, AXIS).to(tl.float32, bitcast=True)
    scale = top * (_TO_INT8 if FORM == INT8 else _TO_FP8)
    return tl.where(scale < _SMALLEST_SCALE, _SMALLEST_SCALE, scale)


@triton.jit
def numbers_of(x, scale, FORM: tl.constexpr):
    """What is stored of x, with its scale in a shape that broadcasts."""
    ratio = tl.div_rn(x.to(tl.float32), scale)
    if FORM == INT8:
        return ((ratio + _ROUND) - _ROUND).to(tl.int8)
    elif FORM == FP8:
        return ratio.to(tl.float8e4nv)
    else:
        return _fp8_bits(ratio)


@triton.jit
def _fp8_bits(x):
    """E4M3 of float32, to nearest, ties to even, as uint8."""
    bits = x.to(tl.int32, bitcast=True)
    size = tl.minimum(tl.abs(x), _LARGEST_FP8)
    # Three bits behind the leading one are kept, and below 2^-6 multiples of 2^-9: a number 2^20 times the power of two
    # at or below this one has room for just these.
    power = tl.maximum(size.to(tl.int32, bitcast=True) & 0x7F800000, 121 << 23)
    room = (power + (20 << 23)).to(tl.float32, bitcast=True)
    size = (size + room) - room
    # float16 has the same mantissa further to the left, and exponents that are larger by 8.
    half = (size * (1 / 256)).to(tl.float16).to(tl.uint16, bitcast=True)
    return (((bits >> 24) & 0x80) | (half >> 7).to(tl.int32)).to(tl.uint8)


@triton.jit
def unpacked(numbers, like, FORM: tl.constexpr):
    """The numbers in the type of ``like``, each exactly; what attention reads is that times their scale."""
    if FORM == FP8_BITS:
        bits = numbers.to(tl.uint16)
        half = ((bits & 0x7F) << 7) | ((bits & 0x80) << 8)
        wide = half.to(tl.float16, bitcast=True).to(tl.float32) * 256.0
        return wide.to(like.dtype)
    else:
        return numbers.to(like.dtype)


@triton.jit
def restored(numbers, scale, like, FORM: tl.constexpr):
    """Numbers times their scale, rounded to the type of ``like``."""
    return (unpacked(numbers, scale, FORM) * scale).to(like.dtype)


@triton.jit
def write_one(x, pointer, scales, place, mask, scale_mask, FORM: tl.constexpr):
    """Put a vector [W] into the cache, and its scale into a place of the scales; gives what attention reads of it."""
    if FORM == PLAIN:
        tl.store(pointer, x, mask=mask)
    else:
        scale = scale_of(x, 0, FORM)
        numbers = numbers_of(x, scale, FORM)
        tl.store(pointer, numbers, mask=mask)
        tl.store(scales + place, scale, mask=scale_mask)
        x = restored(numbers, scale, x, FORM)
    return x


@triton.jit
def write_rows(x, pointer, scales, places, mask, scale_mask, FORM: tl.constexpr):
    """The same of vectors [N, W], with N places."""
    if FORM == PLAIN:
        tl.store(pointer, x, mask=mask)
    else:
        scale = scale_of(x, 1, FORM)
        numbers = numbers_of(x, scale[:, None], FORM)
        tl.store(pointer, numbers, mask=mask)
        tl.store(scales + places, scale, mask=scale_mask)
        x = restored(numbers, scale[:, None], x, FORM)
    return x


@triton.jit
def store_heads(
    rotated, x, new, keys, values, key_scales, value_scales, place, head_stride, k_out, keeps_keys: tl.constexpr, h, d,
    H: tl.constexpr, KV: tl.constexpr, D: tl.constexpr, W: tl.constexpr, FORM: tl.constexpr,
):  # fmt: skip
    """Write a token's keys and values into their place of the first head's cache, and of each other's.

    With a cache in 8 bits, or where ``keeps_keys``, ``k_out`` gets what attention reads of the keys. What it reads of
    values in 8 bits is written over those in ``new``, of which no other program reads these.
    """
    is_key = head_mask((h < H + KV)[:, None], d[None, :], D, W) & (h >= H)[:, None]
    is_value = head_mask((h < H + 2 * KV)[:, None], d[None, :], D, W) & (h >= H + KV)[:, None]
    key_at = keys + (place + d[None, :]) + (h - H)[:, None] * head_stride
    value_at = values + (place + d[None, :]) + (h - H - KV)[:, None] * head_stride
    k_at = k_out + (h - H)[:, None] * D + d[None, :]
    if FORM == PLAIN:
        if keeps_keys:
            tl.store(k_at, rotated, mask=is_key)
        tl.store(key_at, rotated, mask=is_key)
        tl.store(value_at, x, mask=is_value)
    else:
        vectors = tl.where((h < H + KV)[:, None], rotated, x)
        scale = scale_of(vectors, 1, FORM)
        numbers = numbers_of(vectors, scale[:, None], FORM)
        tl.store(key_at, numbers, mask=is_key)
        tl.store(value_at, numbers, mask=is_value)
        k_place = (place + (h - H) * head_stride) // D
        v_place = (place + (h - H - KV) * head_stride) // D
        tl.store(key_scales + k_place, scale, mask=(h >= H) & (h < H + KV))
        tl.store(value_scales + v_place, scale, mask=(h >= H + KV) & (h < H + 2 * KV))
        read = restored(numbers, scale[:, None], x, FORM)
        tl.store(k_at, read, mask=is_key)
        tl.store(new + h[:, None] * D + d[None, :], read, mask=is_value)


def stored(keys: torch.Tensor, values: torch.Tensor, scales: Scales | None) -> tuple[torch.Tensor | None, ...]:
    """Keys, values, their scales and FORM, as kernels are given them.

    Args:
        keys: the cache.
        values: likewise.
        scales: of a cache in 8 bits, with its rows and heads one behind the other as those of the keys.
    """
    if scales is None:
        return keys, values, None, None, PLAIN.value
    if keys.dtype == torch.int8:
        return keys, values, *scales, INT8.value
    if _converts_fp8(keys.device):
        return keys, values, *scales, FP8.value
    return keys.view(torch.uint8), values.view(torch.uint8), *scales, FP8_BITS.value


@functools.cache
def _converts_fp8(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= CONVERTS_FP8
