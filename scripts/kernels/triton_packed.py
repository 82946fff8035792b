"""Attention over prompts that stand one behind the other, without padding: two Triton kernels.

The first rotates queries and keys and writes keys and values into each prompt's row of the KV cache. The second
attends: a program takes a query head and a tile of tokens, of one prompt or of several, each token seeing those of its
own prompt up to itself (a flash attention as Dao et al., 2022, with bounds that are looked up token by token). With a
cache in 8 bits the second reads what the first has rounded.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from scripts.kernels.parts import Heads, Rope
from scripts.kernels.quantised_cache import Scales
from scripts.kernels.triton_attention import LOG2_E
from scripts.kernels.triton_attention_kernels import online_softmax
from scripts.kernels.triton_cache import store_heads, stored
from scripts.kernels.triton_launch import use_pdl
from scripts.kernels.triton_rotary import head_mask, load_head, padded_width, rotate


@triton.jit
def _rotate_and_store_rows(
    qkv, keys, values, key_scales, value_scales, positions, slots, cos, sin, q_out, k_out, row_stride, head_stride,
    H: tl.constexpr, KV: tl.constexpr, D: tl.constexpr, W: tl.constexpr, R: tl.constexpr, HEADS: tl.constexpr,
    FORM: tl.constexpr, WAIT: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    h = tl.arange(0, HEADS)
    d = tl.arange(0, W)
    first_half = d < R // 2
    other_half = tl.where(first_half, d + R // 2, d - R // 2)
    # Copied to the device before the graph began; no kernel writes them.
    position = tl.load(positions + token)
    row = tl.load(slots + token)
    q_cos = load_head(cos + position * D + d, d, D, W)[None, :]
    q_sin = load_head(sin + position * D + d, d, D, W)[None, :]
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    at = qkv + token * ((H + 2 * KV) * D)
    inside = head_mask((h < H + 2 * KV)[:, None], d[None, :], D, W)
    rotated_heads = head_mask((h < H + KV)[:, None], d[None, :], D, W)
    x = tl.load(at + h[:, None] * D + d[None, :], mask=inside, other=0.0)
    partner = tl.load(at + h[:, None] * D + other_half[None, :], mask=rotated_heads, other=0.0)
    rotated = rotate(x, partner, q_cos, q_sin, first_half[None, :])
    is_query = head_mask((h < H)[:, None], d[None, :], D, W)
    tl.store(q_out + token * (H * D) + h[:, None] * D + d[None, :], rotated, mask=is_query)
    store_heads(
        rotated, x, at, keys, values, key_scales, value_scales, row * row_stride + position * D, head_stride,
        k_out + token * (KV * D), True, h, d, H, KV, D, W, FORM,
    )  # fmt: skip


@triton.jit
def _attend_packed(
    q, k, qkv, positions, out, scale, T,
    GROUP: tl.constexpr, KV: tl.constexpr, D: tl.constexpr, W: tl.constexpr, WINDOW: tl.constexpr, CAP: tl.constexpr,
    BLOCK: tl.constexpr, STAGES: tl.constexpr, WAIT: tl.constexpr,
):  # fmt: skip
    block = tl.program_id(0)
    query = tl.program_id(1)
    head = query // GROUP
    m = block * BLOCK + tl.arange(0, BLOCK)
    d = tl.arange(0, W)
    position = tl.load(positions + m, mask=m < T, other=0).to(tl.int32)
    first_token = m - position  # of each token's prompt, or the first one that it sees
    if WINDOW > 0:
        first_token = tl.maximum(first_token, m - WINDOW + 1)
    low = tl.min(first_token, 0)
    high = tl.minimum((block + 1) * BLOCK, T)
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    wide = m.to(tl.int64)[:, None]
    real = head_mask((m < T)[:, None], d[None, :], D, W)
    queries = tl.load(q + wide * (KV * GROUP * D) + query * D + d[None, :], mask=real, other=0.0)
    # Finite, since a tile may hold nothing that a token sees.
    row_max = tl.full([BLOCK], -1e30, tl.float32)
    total = tl.zeros([BLOCK], tl.float32)
    acc = tl.zeros([BLOCK, W], tl.float32)
    for first in tl.range(low, high, BLOCK, num_stages=STAGES):
        n = first + tl.arange(0, BLOCK)
        exists = head_mask((n < high)[:, None], d[None, :], D, W)
        from_row = n.to(tl.int64)[:, None]
        keys = tl.load(k + from_row * (KV * D) + head * D + d[None, :], mask=exists, other=0.0)
        v_at = from_row * ((GROUP + 2) * KV * D) + ((GROUP + 1) * KV + head) * D
        values = tl.load(qkv + v_at + d[None, :], mask=exists, other=0.0)
        visible = (n[None, :] <= m[:, None]) & (n[None, :] >= first_token[:, None])
        row_max, total, acc = online_softmax(queries, keys, values, visible, scale, row_max, total, acc, CAP)
    total = tl.where(m < T, total, 1.0)
    result = (acc / total[:, None]).to(queries.dtype)
    tl.store(out + wide * (KV * GROUP * D) + query * D + d[None, :], result, mask=real)


def packed_attention(
    qkv: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, positions: torch.Tensor, slots: torch.Tensor,
    heads: Heads, rope: Rope, scales: Scales | None = None,
) -> torch.Tensor:  # fmt: skip
    """See ``reference.packed_attention``.

    Args:
        qkv: [T, (H + 2 Hkv) D]; with a cache in 8 bits, its values are rounded in place.
        keys: the cache, [rows, Hkv, L, D], positions and D contiguous.
        values: with the strides of the keys.
        positions: int64 [T].
        slots: int64 [T].
        heads: of an even width, and how they attend.
        rope: angles of L positions or more.
        scales: of a cache in 8 bits, as of decode attention.

    Returns:
        [T, H D].
    """
    keys, values, key_scales, value_scales, form = stored(keys, values, scales)
    count = qkv.shape[0]
    q = torch.empty(count, heads.query * heads.width, dtype=qkv.dtype, device=qkv.device)
    k = torch.empty(count, heads.key_value * heads.width, dtype=qkv.dtype, device=qkv.device)
    wait, width = use_pdl(qkv.device), padded_width(heads.width)
    every = triton.next_power_of_2(heads.query + 2 * heads.key_value)
    _rotate_and_store_rows[(count,)](
        qkv, keys, values, key_scales, value_scales, positions, slots, rope.cos, rope.sin, q, k, keys.stride(0),
        keys.stride(1), heads.query, heads.key_value, heads.width, width, rope.rotated_width, every, form, wait,
        num_warps=4, launch_pdl=wait,
    )  # fmt: skip
    out = torch.empty_like(q)
    # Numbers of 32 bits are multiplied without tensor cores, which takes registers; of wider heads, two stages would
    # take more shared memory than GPUs of workstations have.
    block, stages = (32, 1) if qkv.dtype == torch.float32 else (64, 2 if width <= 128 else 1)
    _attend_packed[(triton.cdiv(count, block), heads.query)](
        q, k, qkv, positions, out, heads.score_scale * LOG2_E, count, heads.query // heads.key_value, heads.key_value,
        heads.width, width, heads.window or 0, (heads.cap or 0.0) * LOG2_E, block, stages, wait, num_warps=4,
        launch_pdl=wait,
    )  # fmt: skip
    return out
