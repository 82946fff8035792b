"""Decode attention on a GPU: which kernel runs, with which tile configuration, and into how many splits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton

from scripts.kernels.parts import Heads, Rope
from scripts.kernels.quantised_cache import Scales
from scripts.kernels.triton_attention_kernels import attend_per_group, attend_per_head, combine_splits
from scripts.kernels.triton_cache import stored
from scripts.kernels.triton_launch import use_pdl
from scripts.kernels.triton_rotary import padded_width

MAX_NEW_TOKENS = 16  # of a row, that ``decode_attention`` takes
MAX_UNSPLIT_POSITIONS = 512  # a longer cache is split
MIN_SPLIT_POSITIONS = 256
MAX_PER_HEAD_PROGRAMS = 64  # with more key-value heads of all rows, a program takes a group of query heads
TARGET_PROGRAMS = 264  # two for each multiprocessor of an H100
LOG2_E = 1.4426950408889634


@dataclass(frozen=True)
class TileConfig:
    """Cache positions of a tile, warps of a program, software-pipelining stages of the loop."""

    block: int
    warps: int
    stages: int


def rule_tile(heads: Heads, dtype: torch.dtype, queries: int, per_head: bool) -> TileConfig:
    """How the cache is read: by ``attend_per_head``, or by ``attend_per_group`` with so many queries of a group."""
    wide = padded_width(heads.width) * dtype.itemsize  # bytes of a key
    if per_head:
        return TileConfig(max(16, 16384 // wide), 4, 1)
    if dtype == torch.float32:  # multiplied without tensor cores, which takes registers
        return TileConfig(32, 8, 1)
    return TileConfig(max(32, 8192 // wide), 4 if queries <= 32 else 8, 2)


def split_count(programs: int, positions: int) -> int:
    """Into how many parts the cache is split, with so many programs already and room for so many positions."""
    if positions <= MAX_UNSPLIT_POSITIONS:
        return 1
    return max(1, min(32, positions // MIN_SPLIT_POSITIONS, TARGET_PROGRAMS // programs))


def decode_attention(
    qkv: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, positions: torch.Tensor, heads: Heads, rope: Rope,
    tile: TileConfig | None = None, per_head: bool | None = None, scales: Scales | None = None,
) -> torch.Tensor:  # fmt: skip
    """See ``reference.decode_attention``; one kernel, or two with a long cache.

    Args:
        qkv: [B * S, (H + 2 Hkv) D], S up to 16.
        keys: [B, Hkv, L, D], positions and D contiguous; ``positions[b] + S`` is at most L.
        values: with the strides of the keys.
        positions: int32 [B].
        heads: of an even width, and how they attend.
        rope: angles of L positions or more.
        tile: how the cache is read, chosen by shape if None.
        per_head: a program for each query head rather than for each group, of one new token; chosen by shape if None.
        scales: of a cache in 8 bits, [B, Hkv, L] each, rows and heads one behind the other as those of the keys.

    Returns:
        [B * S, H D].
    """
    rows = positions.shape[0]
    count, group = qkv.shape[0] // rows, heads.query // heads.key_value
    if count > MAX_NEW_TOKENS:
        raise ValueError(f"decode_attention takes up to {MAX_NEW_TOKENS} new tokens, not {count}.")
    queries, wide = max(16, triton.next_power_of_2(count * group)), padded_width(heads.width)
    programs, window = rows * heads.key_value, heads.window or 0
    splits = split_count(programs, min(keys.shape[2], window) if window else keys.shape[2])
    if per_head is None:
        per_head = count == 1 and splits == 1 and (programs <= MAX_PER_HEAD_PROGRAMS or qkv.dtype == torch.float32)
    tile = tile or rule_tile(heads, qkv.dtype, queries, per_head)
    out = torch.empty(qkv.shape[0], heads.query * heads.width, dtype=qkv.dtype, device=qkv.device)
    keys, values, key_scales, value_scales, form = stored(keys, values, scales)
    wait, scale, cap = use_pdl(qkv.device), heads.score_scale * LOG2_E, (heads.cap or 0.0) * LOG2_E
    if per_head:
        attend_per_head[(heads.query, rows)](
            qkv, keys, values, key_scales, value_scales, positions, rope.cos, rope.sin, out, scale, keys.stride(0),
            keys.stride(1), group, heads.key_value, heads.width, wide, rope.rotated_width, window, cap, form,
            tile.block, wait, num_warps=tile.warps, launch_pdl=wait,
        )  # fmt: skip
        return out
    partial, stats = out, out
    if splits > 1:
        partial = torch.empty(programs, splits, queries, heads.width, dtype=torch.float32, device=qkv.device)
        stats = torch.empty(programs, splits, queries, 2, dtype=torch.float32, device=qkv.device)
    attend_per_group[(splits, heads.key_value, rows)](
        qkv, keys, values, key_scales, value_scales, positions, rope.cos, rope.sin, out, partial, stats, scale,
        keys.stride(0), keys.stride(1), group, heads.key_value, heads.width, wide, rope.rotated_width, window, cap,
        form, count, queries, tile.block, splits, tile.stages, wait, num_warps=tile.warps, launch_pdl=wait,
    )  # fmt: skip
    if splits > 1:
        combine_splits[(count * group, heads.key_value, rows)](
            partial, stats, out, group, heads.key_value, heads.width, wide, count, queries, splits,
            triton.next_power_of_2(splits), wait, num_warps=2, launch_pdl=wait,
        )  # fmt: skip
    return out
