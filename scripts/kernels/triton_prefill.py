"""Prefill attention: a Triton kernel rotates queries and keys and fills the KV cache, torch's own attention follows."""

from __future__ import annotations

import functools

import torch
import triton
import triton.language as tl
from torch.nn import functional
from torch.nn.attention.bias import causal_lower_right
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from scripts.kernels.parts import Heads, Rope
from scripts.kernels.quantised_cache import Scales, restore
from scripts.kernels.reference_attention import attend_block
from scripts.kernels.triton_cache import store_heads, stored
from scripts.kernels.triton_launch import use_pdl
from scripts.kernels.triton_packed import packed_attention
from scripts.kernels.triton_rotary import head_mask, load_head, padded_width, rotate


@triton.jit
def _rotate_and_store(
    qkv, keys, values, key_scales, value_scales, cos, sin, q_out, k_out, start, count, row_stride, head_stride,
    H: tl.constexpr, KV: tl.constexpr, D: tl.constexpr, W: tl.constexpr, R: tl.constexpr, HEADS: tl.constexpr,
    FORM: tl.constexpr, WAIT: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0)
    h = tl.arange(0, HEADS)
    d = tl.arange(0, W)
    first_half = d < R // 2
    other_half = tl.where(first_half, d + R // 2, d - R // 2)
    row = token // count
    position = start + token % count
    q_cos = load_head(cos + position * D + d, d, D, W)[None, :]
    q_sin = load_head(sin + position * D + d, d, D, W)[None, :]
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    at = qkv + token.to(tl.int64) * ((H + 2 * KV) * D)
    inside = head_mask((h < H + 2 * KV)[:, None], d[None, :], D, W)
    rotated_heads = head_mask((h < H + KV)[:, None], d[None, :], D, W)
    x = tl.load(at + h[:, None] * D + d[None, :], mask=inside, other=0.0)
    partner = tl.load(at + h[:, None] * D + other_half[None, :], mask=rotated_heads, other=0.0)
    rotated = rotate(x, partner, q_cos, q_sin, first_half[None, :])
    q_at = q_out + token.to(tl.int64) * (H * D) + h[:, None] * D + d[None, :]
    tl.store(q_at, rotated, mask=head_mask((h < H)[:, None], d[None, :], D, W))
    store_heads(
        rotated, x, at, keys, values, key_scales, value_scales, row.to(tl.int64) * row_stride + position * D,
        head_stride, k_out + token.to(tl.int64) * (KV * D), False, h, d, H, KV, D, W, FORM,
    )  # fmt: skip


@functools.cache  # for good: captured graphs read them, and the kernel may do so before the one ahead of it has ended
def _places(rows: int, count: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions and rows of the tokens of so many prompts, int64 [rows * count] each; made before any capture."""
    tokens = torch.arange(rows * count, device=device)
    places = tokens % count, tokens // count
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return places


def prefill_attention(
    qkv: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, start: int, heads: Heads, rope: Rope, rows: int,
    scales: Scales | None = None,
) -> torch.Tensor:  # fmt: skip
    """See ``reference.prefill_attention``: one kernel that rotates and stores, then torch's own attention.

    That has neither windows nor caps. Where a layer needs them, the kernels for packed prompts take whole prompts; of
    prompts whose beginning is in the cache, plain torch attends.

    Args:
        qkv: [rows * S, (H + 2 Hkv) D]; with a cache in 8 bits, its values are rounded in place.
        keys: [rows or more, Hkv, L, D], positions and D contiguous.
        values: with the strides of the keys.
        start: where the first token of every row stands; what is before is in the cache.
        heads: of an even width, and how they attend.
        rope: angles of L positions or more.
        rows: prompts.
        scales: of a cache in 8 bits, as of decode attention.

    Returns:
        [rows * S, H D].
    """
    count = qkv.shape[0] // rows
    length = start + count
    special = heads.cap is not None or (heads.window is not None and heads.window < length)
    if special and start == 0:
        return packed_attention(qkv, keys, values, *_places(rows, count, qkv.device), heads, rope, scales)
    numbers, more, key_scales, value_scales, form = stored(keys, values, scales)
    q = torch.empty(rows, count, heads.query, heads.width, dtype=qkv.dtype, device=qkv.device)
    k = q  # not written, unless the cache is in 8 bits
    if scales is not None:
        k = torch.empty(rows, count, heads.key_value, heads.width, dtype=qkv.dtype, device=qkv.device)
    wait = use_pdl(qkv.device)
    every = triton.next_power_of_2(heads.query + 2 * heads.key_value)
    _rotate_and_store[(rows * count,)](
        qkv, numbers, more, key_scales, value_scales, rope.cos, rope.sin, q, k, start, count,
        keys.stride(0), keys.stride(1), heads.query, heads.key_value, heads.width, padded_width(heads.width),
        rope.rotated_width, every, form, wait, num_warps=4, launch_pdl=wait,
    )  # fmt: skip
    q = q.transpose(1, 2)  # [rows, heads, S, D], and keys and values [rows, heads, S or length, D]
    seen = slice(rows), slice(None), slice(length)
    if scales is None:
        k, v = keys[seen], values[seen]
    elif start == 0:
        k, v = k.transpose(1, 2), _values_of(qkv, rows, heads)
    else:
        k, v = (restore(part[seen], own[seen], qkv.dtype) for part, own in zip((keys, values), scales, strict=True))
    grouped = heads.query != heads.key_value
    if special:
        out = attend_block(q, k, v, start, heads, k, v)
    elif start == 0:
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=heads.scale, enable_gqa=grouped)
    else:
        mask = causal_lower_right(count, length)
        out = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=heads.scale, enable_gqa=grouped)
    return out.transpose(1, 2).reshape(rows * count, heads.query * heads.width)


def _values_of(qkv: torch.Tensor, rows: int, heads: Heads) -> torch.Tensor:
    """[rows * S, (H + 2 Hkv) D] -> the values in it, [rows, Hkv, S, D]."""
    first = heads.query + heads.key_value
    return qkv.view(rows, -1, first + heads.key_value, heads.width)[:, :, first:].transpose(1, 2)
