"""Attention as Triton kernels: a few new tokens over a static cache, and the first half of a prompt's attention.

``attend`` rotates, stores and attends in one kernel. For a few rows a program has one query head; for many, so that
each key is read once, those that share a key-value head, and one split of the cache (flash-decoding; Dao et al., 2023).

In the kernels W is a head's width D brought to a power of two, as Triton's tiles need it; what is behind the D-th
element is read as zero and not written. Where D is W no mask is compiled.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch.nn import functional
from torch.nn.attention.bias import causal_lower_right
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from scripts.kernels.reference import Heads, Rope
from scripts.kernels.triton_launch import use_pdl

MOST_NEW = 16  # new tokens of a row that ``attend`` takes
UNSPLIT = 512  # positions up to which a cache isn't split
SPLIT = 256  # positions of a split, at least
FEW = 64  # programs up to which a query head gets its own
PROGRAMS = 264  # two for each multiprocessor of an H100
LOG2_E = 1.4426950408889634
NARROWEST = 16  # what tl.dot multiplies at least


@dataclass(frozen=True)
class Tiles:
    """Positions of a tile, warps of a program, tiles under way in the loop."""

    block: int
    warps: int
    stages: int


@triton.jit
def _load(pointer, d, D: tl.constexpr, W: tl.constexpr):
    """Elements d of heads that all exist; pointer and d have the same rank."""
    return tl.load(pointer) if W == D else tl.load(pointer, mask=d < D, other=0.0)


@triton.jit
def _within(mask, d, D: tl.constexpr, W: tl.constexpr):
    """The mask of heads, [..., 1], without what is behind their width; d is [1, W]."""
    if W != D:
        mask = mask & (d < D)
    return mask


@triton.jit
def _turn(x, turned, cos, sin, first_half):
    """Rotate; each product is rounded, as it is where the operations are separate. ``turned``: the other half's x."""
    dtype = x.dtype
    turned = turned.to(tl.float32)
    straight = (x.to(tl.float32) * cos.to(dtype).to(tl.float32)).to(dtype)
    across = (tl.where(first_half, -turned, turned) * sin.to(dtype).to(tl.float32)).to(dtype)
    return (straight.to(tl.float32) + across.to(tl.float32)).to(dtype)


@triton.jit
def _absorb(q, k, v, seen, scale, top, total, acc):
    """Take keys and values [N, D] into a running softmax: of each query the largest score, the sum, the result."""
    scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
    scores = tl.where(seen, scores, float("-inf"))
    higher = tl.maximum(top, tl.max(scores, 1))
    shrink = tl.exp2(top - higher)
    weights = tl.exp2(scores - higher[:, None])
    total = total * shrink + tl.sum(weights, 1)
    acc = tl.dot(weights.to(v.dtype), v, acc * shrink[:, None], input_precision="ieee")
    return higher, total, acc


@triton.jit
def _attend_one(
    qkv, keys, values, positions, cos, sin, out, scale, row_stride, head_stride,
    GROUP: tl.constexpr, KV: tl.constexpr, D: tl.constexpr, W: tl.constexpr, BLOCK: tl.constexpr, WAIT: tl.constexpr,
    EARLY: tl.constexpr,
):  # fmt: skip
    """One query head, one new token: nothing passes through shared memory on its way, all loads are under way at once.

    The heads of a group read the same keys, which the L2 cache serves; meant for a few rows, where time is latency.
    """
    query = tl.program_id(0)
    row = tl.program_id(1)
    head = query // GROUP
    if WAIT and not EARLY:
        gdc_wait()
        gdc_launch_dependents()
    # EARLY: positions and old keys were written by earlier steps. That those have ended follows only if every kernel
    # lets the next one start after its own wait: then the one before the one ahead of this has ended, and all before.
    length = tl.load(positions + row)
    d = tl.arange(0, W)
    n = tl.arange(0, BLOCK)
    keys += row.to(tl.int64) * row_stride + head * head_stride
    values += row.to(tl.int64) * row_stride + head * head_stride
    at = n[:, None] * D + d[None, :]
    old = _within((n < length)[:, None], d[None, :], D, W)
    k = tl.load(keys + at, mask=old, other=0.0)
    v = tl.load(values + at, mask=old, other=0.0)
    angle_cos = _load(cos + length * D + d, d, D, W)
    angle_sin = _load(sin + length * D + d, d, D, W)
    if WAIT and EARLY:
        gdc_wait()
        gdc_launch_dependents()
    first_half = d < D // 2
    other_half = tl.where(first_half, d + D // 2, d - D // 2)
    new = qkv + row.to(tl.int64) * ((GROUP + 2) * KV * D)
    k_at = new + (GROUP * KV + head) * D
    q = _load(new + query * D + d, d, D, W)
    q_turned = _load(new + query * D + other_half, d, D, W)
    k_new = _load(k_at + d, d, D, W)
    k_turned = _load(k_at + other_half, d, D, W)
    v_new = _load(k_at + KV * D + d, d, D, W)
    q = _turn(q, q_turned, angle_cos, angle_sin, first_half)
    k_new = _turn(k_new, k_turned, angle_cos, angle_sin, first_half)
    writes = (d < D) & (query % GROUP == 0)
    tl.store(keys + length * D + d, k_new, mask=writes)
    tl.store(values + length * D + d, v_new, mask=writes)
    q = q.to(tl.float32) * scale
    # The new token comes first, so that the running maximum is finite.
    top = tl.sum(q * k_new.to(tl.float32), 0)
    total = tl.full((), 1.0, tl.float32)
    acc = v_new.to(tl.float32)
    for first in tl.range(0, length, BLOCK):
        following = first + BLOCK + n
        later = _within((following < length)[:, None], d[None, :], D, W)
        at = following[:, None] * D + d[None, :]
        k_next = tl.load(keys + at, mask=later, other=0.0)
        v_next = tl.load(values + at, mask=later, other=0.0)
        scores = tl.sum(k.to(tl.float32) * q[None, :], 1)
        scores = tl.where(first + n < length, scores, float("-inf"))
        higher = tl.maximum(top, tl.max(scores, 0))
        shrink = tl.exp2(top - higher)
        weights = tl.exp2(scores - higher)
        total = total * shrink + tl.sum(weights, 0)
        acc = acc * shrink + tl.sum(v.to(tl.float32) * weights[:, None], 0)
        top = higher
        k = k_next
        v = v_next
    out_at = out + row.to(tl.int64) * (KV * GROUP * D) + query * D
    result = (acc / total).to(v_new.dtype)
    if W == D:
        tl.store(out_at + d, result)
    else:
        tl.store(out_at + d, result, mask=d < D)


@triton.jit
def _attend(
    qkv, keys, values, positions, cos, sin, out, partial, stats, scale, row_stride, head_stride,
    GROUP: tl.constexpr, KV: tl.constexpr, D: tl.constexpr, W: tl.constexpr, S: tl.constexpr, M: tl.constexpr,
    BLOCK: tl.constexpr, SPLITS: tl.constexpr, STAGES: tl.constexpr, WAIT: tl.constexpr,
):  # fmt: skip
    """A group of query heads and one split; row s * GROUP + g of the M queries is new token s, head g of the group."""
    split = tl.program_id(0)
    head = tl.program_id(1)
    row = tl.program_id(2)
    WIDTH: tl.constexpr = (GROUP + 2) * KV * D
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    length = tl.load(positions + row)
    if SPLITS == 1:
        low = 0
        high = length
    else:
        share = tl.cdiv(tl.cdiv(length, SPLITS), BLOCK) * BLOCK
        low = split * share
        high = tl.minimum(low + share, length)
    d = tl.arange(0, W)
    n = tl.arange(0, BLOCK)
    m = tl.arange(0, M)
    keys += row.to(tl.int64) * row_stride + head * head_stride
    values += row.to(tl.int64) * row_stride + head * head_stride
    first_half = d < D // 2
    other_half = tl.where(first_half, d + D // 2, d - D // 2)
    token = m // GROUP
    real = _within((m < S * GROUP)[:, None], d[None, :], D, W)
    if S == 1:
        q_cos = _load(cos + length * D + d, d, D, W)[None, :]
        q_sin = _load(sin + length * D + d, d, D, W)[None, :]
    else:
        angles = (length + token)[:, None] * D + d[None, :]
        q_cos = tl.load(cos + angles, mask=real, other=0.0)
        q_sin = tl.load(sin + angles, mask=real, other=0.0)
    new = qkv + row.to(tl.int64) * S * WIDTH
    q_at = new + (token * WIDTH + (head * GROUP + m % GROUP) * D)[:, None]
    q = tl.load(q_at + d[None, :], mask=real, other=0.0)
    q_turned = tl.load(q_at + other_half[None, :], mask=real, other=0.0)
    q = _turn(q, q_turned, q_cos, q_sin, first_half[None, :])
    k_at = new + (GROUP * KV + head) * D
    v_at = k_at + KV * D
    # The new tokens come first, so that the running maximum is finite. In splits but the first they get a score that
    # any other one wipes out, here or when the splits are combined.
    if S == 1:
        k_new = _load(k_at + d, d, D, W)
        k_turned = _load(k_at + other_half, d, D, W)
        v_new = _load(v_at + d, d, D, W)
        k_cos = _load(cos + length * D + d, d, D, W)
        k_sin = _load(sin + length * D + d, d, D, W)
        k_new = _turn(k_new, k_turned, k_cos, k_sin, first_half)
        tl.store(keys + length * D + d, k_new, mask=(d < D) & (split == 0))
        tl.store(values + length * D + d, v_new, mask=(d < D) & (split == 0))
        top = tl.sum(q.to(tl.float32) * k_new.to(tl.float32)[None, :], 1) * scale
        if SPLITS > 1:
            top = tl.where(split == 0, top, -1e30)
        total = tl.full([M], 1.0, tl.float32)
        acc = tl.zeros([M, W], tl.float32) + v_new.to(tl.float32)[None, :]
    else:
        s = tl.arange(0, 16)
        exists = _within((s < S)[:, None], d[None, :], D, W)
        places = (length + s)[:, None] * D + d[None, :]
        k_new = tl.load(k_at + s[:, None] * WIDTH + d[None, :], mask=exists, other=0.0)
        k_turned = tl.load(k_at + s[:, None] * WIDTH + other_half[None, :], mask=exists, other=0.0)
        v_new = tl.load(v_at + s[:, None] * WIDTH + d[None, :], mask=exists, other=0.0)
        k_cos = tl.load(cos + places, mask=exists, other=0.0)
        k_sin = tl.load(sin + places, mask=exists, other=0.0)
        k_new = _turn(k_new, k_turned, k_cos, k_sin, first_half[None, :])
        tl.store(keys + places, k_new, mask=exists & (split == 0))
        tl.store(values + places, v_new, mask=exists & (split == 0))
        scores = tl.dot(q, tl.trans(k_new), input_precision="ieee") * scale
        if SPLITS > 1:
            scores = tl.where(split == 0, scores, -1e30)
        scores = tl.where((s[None, :] <= token[:, None]) & (s < S)[None, :], scores, float("-inf"))
        top = tl.max(scores, 1)
        weights = tl.exp2(scores - top[:, None])
        total = tl.sum(weights, 1)
        acc = tl.dot(weights.to(v_new.dtype), v_new, input_precision="ieee")
    for first in tl.range(low, high, BLOCK, num_stages=STAGES):
        at = (first + n)[:, None] * D + d[None, :]
        old = _within((first + n < high)[:, None], d[None, :], D, W)
        k = tl.load(keys + at, mask=old, other=0.0)
        v = tl.load(values + at, mask=old, other=0.0)
        top, total, acc = _absorb(q, k, v, (first + n < high)[None, :], scale, top, total, acc)
    if SPLITS == 1:
        result = (acc / total[:, None]).to(q.dtype)
        out_at = (row.to(tl.int64) * S + token) * (KV * GROUP * D) + (head * GROUP + m % GROUP) * D
        tl.store(out + out_at[:, None] + d[None, :], result, mask=real)
    else:
        place = ((row * KV + head) * SPLITS + split).to(tl.int64) * M + m
        tl.store(partial + place[:, None] * D + d[None, :], acc, mask=real)
        tl.store(stats + place * 2, top, mask=m < S * GROUP)
        tl.store(stats + place * 2 + 1, total, mask=m < S * GROUP)


@triton.jit
def _combine(
    partial, stats, out, GROUP: tl.constexpr, KV: tl.constexpr, D: tl.constexpr, W: tl.constexpr, S: tl.constexpr,
    M: tl.constexpr, SPLITS: tl.constexpr, BLOCK: tl.constexpr, WAIT: tl.constexpr,
):  # fmt: skip
    """The splits' results, each weighed by its share of the softmax."""
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    m = tl.program_id(0)
    head = tl.program_id(1)
    row = tl.program_id(2)
    split = tl.arange(0, BLOCK)
    d = tl.arange(0, W)
    exists = split < SPLITS
    place = ((row * KV + head).to(tl.int64) * SPLITS + split) * M + m
    top = tl.load(stats + place * 2, mask=exists, other=float("-inf"))
    total = tl.load(stats + place * 2 + 1, mask=exists, other=0.0)
    held = _within(exists[:, None], d[None, :], D, W)
    acc = tl.load(partial + place[:, None] * D + d[None, :], mask=held, other=0.0)
    weights = tl.exp2(top - tl.max(top, 0))
    result = tl.sum(acc * weights[:, None], 0) / tl.sum(total * weights, 0)
    out_at = (row.to(tl.int64) * S + m // GROUP) * (KV * GROUP * D) + (head * GROUP + m % GROUP) * D
    result = result.to(out.dtype.element_ty)
    if W == D:
        tl.store(out + out_at + d, result)
    else:
        tl.store(out + out_at + d, result, mask=d < D)


def padded(width: int) -> int:
    """The width of a tile that holds heads of that width."""
    return max(NARROWEST, triton.next_power_of_2(width))


def tiles_for(heads: Heads, dtype: torch.dtype, queries: int, alone: bool) -> Tiles:
    """How the cache is read: by ``_attend_one``, or by ``_attend`` with so many queries of a group."""
    wide = padded(heads.width) * dtype.itemsize  # bytes of a key
    if alone:
        return Tiles(max(16, 16384 // wide), 4, 1)
    if dtype == torch.float32:  # multiplied without tensor cores, which takes registers
        return Tiles(32, 8, 1)
    return Tiles(max(32, 8192 // wide), 4 if queries <= 32 else 8, 2)


def splits_for(programs: int, positions: int) -> int:
    """Into how many parts the cache is split, with so many programs already and room for so many positions."""
    if positions <= UNSPLIT:
        return 1
    return max(1, min(32, positions // SPLIT, PROGRAMS // programs))


def attend(
    qkv: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, positions: torch.Tensor, heads: Heads, rope: Rope,
    tiles: Tiles | None = None, alone: bool | None = None, early: bool = False,
) -> torch.Tensor:  # fmt: skip
    """See ``reference.attend``; one kernel, or two with a long cache.

    Args:
        qkv: [B * S, (H + 2 Hkv) D], S up to 16.
        keys: [B, Hkv, L, D], positions and D contiguous; ``positions[b] + S`` is at most L.
        values: with the strides of the keys.
        positions: int32 [B].
        heads: of an even width.
        rope: angles of L positions or more.
        tiles: how the cache is read, chosen by shape if None.
        alone: a program for each query head rather than for each group, of one new token; chosen by shape if None.
        early: (alone) read positions and old keys before the wait; only where every kernel of the step lets the next
            one start after its own wait.

    Returns:
        [B * S, H D].
    """
    rows = positions.shape[0]
    count, group = qkv.shape[0] // rows, heads.query // heads.key_value
    if count > MOST_NEW:
        raise ValueError(f"attend takes up to {MOST_NEW} new tokens, not {count}.")
    queries, wide = max(16, triton.next_power_of_2(count * group)), padded(heads.width)
    programs = rows * heads.key_value
    splits = splits_for(programs, keys.shape[2])
    if alone is None:
        alone = count == 1 and splits == 1 and (programs <= FEW or qkv.dtype == torch.float32)
    tiles = tiles or tiles_for(heads, qkv.dtype, queries, alone)
    out = torch.empty(qkv.shape[0], heads.query * heads.width, dtype=qkv.dtype, device=qkv.device)
    wait, scale = use_pdl(qkv.device), heads.width**-0.5 * LOG2_E
    if alone:
        _attend_one[(heads.query, rows)](
            qkv, keys, values, positions, rope.cos, rope.sin, out, scale, keys.stride(0), keys.stride(1), group,
            heads.key_value, heads.width, wide, tiles.block, wait, wait and early, num_warps=tiles.warps,
            launch_pdl=wait,
        )  # fmt: skip
        return out
    partial, stats = out, out
    if splits > 1:
        partial = torch.empty(programs, splits, queries, heads.width, dtype=torch.float32, device=qkv.device)
        stats = torch.empty(programs, splits, queries, 2, dtype=torch.float32, device=qkv.device)
    _attend[(splits, heads.key_value, rows)](
        qkv, keys, values, positions, rope.cos, rope.sin, out, partial, stats, scale, keys.stride(0), keys.stride(1),
        group, heads.key_value, heads.width, wide, count, queries, tiles.block, splits, tiles.stages, wait,
        num_warps=tiles.warps, launch_pdl=wait,
    )  # fmt: skip
    if splits > 1:
        _combine[(count * group, heads.key_value, rows)](
            partial, stats, out, group, heads.key_value, heads.width, wide, count, queries, splits,
            triton.next_power_of_2(splits), wait, num_warps=2, launch_pdl=wait,
        )  # fmt: skip
    return out


@triton.jit
def _rotate_and_store(
    qkv, keys, values, cos, sin, q_out, start, count, row_stride, head_stride,
    H: tl.constexpr, KV: tl.constexpr, D: tl.constexpr, W: tl.constexpr, HEADS: tl.constexpr, WAIT: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0)
    h = tl.arange(0, HEADS)
    d = tl.arange(0, W)
    first_half = d < D // 2
    other_half = tl.where(first_half, d + D // 2, d - D // 2)
    row = token // count
    place = start + token % count
    q_cos = _load(cos + place * D + d, d, D, W)[None, :]
    q_sin = _load(sin + place * D + d, d, D, W)[None, :]
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    at = qkv + token.to(tl.int64) * ((H + 2 * KV) * D)
    inside = _within((h < H + 2 * KV)[:, None], d[None, :], D, W)
    turning = _within((h < H + KV)[:, None], d[None, :], D, W)
    x = tl.load(at + h[:, None] * D + d[None, :], mask=inside, other=0.0)
    turned = tl.load(at + h[:, None] * D + other_half[None, :], mask=turning, other=0.0)
    rotated = _turn(x, turned, q_cos, q_sin, first_half[None, :])
    q_at = q_out + token.to(tl.int64) * (H * D) + h[:, None] * D + d[None, :]
    tl.store(q_at, rotated, mask=_within((h < H)[:, None], d[None, :], D, W))
    cached = row.to(tl.int64) * row_stride + place * D + d[None, :]
    tl.store(keys + cached + (h - H)[:, None] * head_stride, rotated, mask=turning & (h >= H)[:, None])
    tl.store(values + cached + (h - H - KV)[:, None] * head_stride, x, mask=inside & (h >= H + KV)[:, None])


def attend_prompt(
    qkv: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, start: int, heads: Heads, rope: Rope, rows: int
) -> torch.Tensor:
    """See ``reference.attend_prompt``: one kernel that rotates and stores, then torch's own attention.

    Args:
        qkv: [rows * S, (H + 2 Hkv) D].
        keys: [rows or more, Hkv, L, D], positions and D contiguous.
        values: with the strides of the keys.
        start: where the first token of every row stands; what is before is in the cache.
        heads: of an even width.
        rope: angles of L positions or more.
        rows: prompts.

    Returns:
        [rows * S, H D].
    """
    count = qkv.shape[0] // rows
    q = torch.empty(rows, count, heads.query, heads.width, dtype=qkv.dtype, device=qkv.device)
    wait = use_pdl(qkv.device)
    every = triton.next_power_of_2(heads.query + 2 * heads.key_value)
    _rotate_and_store[(rows * count,)](
        qkv, keys, values, rope.cos, rope.sin, q, start, count, keys.stride(0), keys.stride(1), heads.query,
        heads.key_value, heads.width, padded(heads.width), every, wait, num_warps=4, launch_pdl=wait,
    )  # fmt: skip
    held = start + count
    q, k, v = q.transpose(1, 2), keys[:rows, :, :held], values[:rows, :, :held]  # [rows, heads, S or held, D]
    grouped = heads.query != heads.key_value
    if start == 0:
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped)
    else:
        mask = causal_lower_right(count, held)
        out = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=grouped)
    return out.transpose(1, 2).reshape(rows * count, heads.query * heads.width)
