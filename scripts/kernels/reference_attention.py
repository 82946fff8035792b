"""Attention in plain torch: over new tokens, over prompts padded to one length, and over prompts one behind another."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch.nn import functional

from scripts.kernels.parts import Heads, Rope
from scripts.kernels.quantised_cache import Scales, restore, write


@dataclass
class PositionInfo:
    """Position ids and rotary angles of a step's new tokens; the same in every layer that attends alike.

    Attributes:
        positions: int64 [B, S].
        angles: cosines and signed sines, each [B, 1, S, D] in the activations' type.
        rotated: elements of a head that are rotated.
        first: the first position that any of the new tokens sees.
        length: positions of the longest row after the step.
        mask: which positions from the first on each new token sees, [B, 1, S, length - first]; None where it is all.
    """

    positions: torch.Tensor
    angles: tuple[torch.Tensor, torch.Tensor]
    rotated: int
    first: int
    length: int
    mask: torch.Tensor | None


def position_info(
    positions: torch.Tensor, count: int, rope: Rope, dtype: torch.dtype, window: int | None = None
) -> PositionInfo:
    """Position ids and angles of ``count`` new tokens of each row, the first at ``positions``, int32 [B]."""
    position_ids = positions.long()[:, None] + torch.arange(count, device=positions.device)  # [B, S]
    length = int(positions.max()) + count
    first = 0 if window is None else max(0, int(positions.min()) - window + 1)
    mask = None
    if position_ids.numel() > 1:
        cached = torch.arange(first, length, device=positions.device)
        mask = cached <= position_ids[..., None]
        if window is not None:
            mask &= cached > position_ids[..., None] - window
        mask = mask[:, None]
    angles = _signed(rope, position_ids, dtype)
    angles = angles[0][:, None], angles[1][:, None]
    return PositionInfo(position_ids, angles, rope.rotated_width, first, length, mask)


def decode_attention(
    qkv: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, positions: torch.Tensor, heads: Heads, rope: Rope,
    info: PositionInfo | None = None, scales: Scales | None = None,
) -> torch.Tensor:  # fmt: skip
    """Rotate, store and attend: a few new tokens of each row, each seeing all before it, or its window.

    Args:
        qkv: [B * S, (H + 2 Hkv) D], the S new tokens of a row together.
        keys: the cache, [B, Hkv, L, D]; changed in place.
        values: the same.
        positions: int32 [B]: the position id of each row's first new token.
        heads: how many, how wide, and how they attend.
        rope: angles by position.
        info: ``position_info`` of the positions and the window, if they are known already.
        scales: of a cache in 8 bits, as ``quantised_cache`` has it; changed in place.

    Returns:
        [B * S, H D].
    """
    rows = positions.shape[0]
    count = qkv.shape[0] // rows
    info = info or position_info(positions, count, rope, qkv.dtype, heads.window)
    q, k, v = _split_and_rotate(qkv, rows, heads, info.angles, info.rotated)
    if rows == 1:
        place: tuple = (0, slice(None), slice(info.length - count, info.length))
        _store(k[0], v[0], keys, values, scales, place)
    else:
        row = torch.arange(rows, device=qkv.device)[:, None]
        _store(k.transpose(1, 2), v.transpose(1, 2), keys, values, scales, (row, slice(None), info.positions))
    seen = slice(info.first, info.length)
    out = attend(q, *_seen(keys, values, scales, (slice(None), slice(None), seen), qkv.dtype), heads, info.mask)
    return out.transpose(1, 2).reshape(rows * count, heads.query * heads.width)


def prefill_attention(
    qkv: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, start: int, heads: Heads, rope: Rope, rows: int,
    scales: Scales | None = None,
) -> torch.Tensor:  # fmt: skip
    """The same for a block of prompt tokens that stand at ``start`` and after in every row.

    What follows a row's own end is padding: nothing before it sees it.
    """
    count = qkv.shape[0] // rows
    part = slice(start, start + count)
    q, k, v = _split_and_rotate(qkv, rows, heads, _signed(rope, part, qkv.dtype), rope.rotated_width)
    k, v = _store(k, v, keys, values, scales, (slice(rows), slice(None), part))
    before = (slice(rows), slice(None), slice(start + count))
    out = attend_block(q, *_seen(keys, values, scales, before, qkv.dtype), start, heads, k, v)
    return out.transpose(1, 2).reshape(rows * count, heads.query * heads.width)


def attend_block(
    q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, start: int, heads: Heads,
    new_keys: torch.Tensor, new_values: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """Attention of a block of tokens at ``start`` and after: each sees those before it, or its window.

    Args:
        q: [B, H, S, D].
        keys: those of all positions up to the block's last, [B, Hkv, start + S, D].
        values: the same.
        start: where the first token stands.
        heads: how they attend.
        new_keys: the block's own keys, [B, Hkv, S, D].
        new_values: the same.

    Returns:
        [B, H, S, D].
    """
    count, length = q.shape[2], keys.shape[2]
    windowed = heads.window is not None and heads.window < length
    if start == 0 and not windowed:
        return attend(q, new_keys, new_values, heads, causal=True)
    mask = torch.ones(count, length, dtype=torch.bool, device=q.device).tril(diagonal=start)
    if windowed:
        mask = mask.triu(diagonal=start - heads.window + 1)
    return attend(q, keys, values, heads, mask)


def packed_attention(
    qkv: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, positions: torch.Tensor, slots: torch.Tensor,
    heads: Heads, rope: Rope, scales: Scales | None = None,
) -> torch.Tensor:  # fmt: skip
    """Rotate, store and attend: prompts one behind the other, each token seeing those of its own prompt up to itself.

    Args:
        qkv: [T, (H + 2 Hkv) D].
        keys: the cache, [rows, Hkv, L, D]; changed in place.
        values: the same.
        positions: int64 [T]: position ids; each prompt begins with 0.
        slots: int64 [T]: the cache's row of each token.
        heads: how many, how wide, and how they attend.
        rope: angles by position.
        scales: of a cache in 8 bits; changed in place.

    Returns:
        [T, H D].
    """
    count = qkv.shape[0]
    angles = _signed(rope, positions, qkv.dtype)
    q, k, v = _split_and_rotate(qkv, 1, heads, angles, rope.rotated_width)  # each [1, heads, T, D]
    place = (slots, slice(None), positions)
    new = _store(k[0].transpose(0, 1), v[0].transpose(0, 1), keys, values, scales, place)  # each [T, Hkv, D]
    k, v = (part.transpose(0, 1)[None] for part in new)
    bounds = [*(positions == 0).nonzero().flatten().tolist(), count]
    out = []
    for first, end in pairwise(bounds):
        own = slice(first, end)
        new_keys, new_values = k[:, :, own], v[:, :, own]
        out.append(attend_block(q[:, :, own], new_keys, new_values, 0, heads, new_keys, new_values))
    return torch.cat(out, dim=2).transpose(1, 2).reshape(count, heads.query * heads.width)


def _store(
    k: torch.Tensor, v: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scales: Scales | None, place: tuple
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put new keys and values in their place; returns what attention reads of them."""
    if scales is None:
        keys[place], values[place] = k, v
        return k, v
    return write(keys, scales[0], place, k), write(values, scales[1], place, v)


def _seen(
    keys: torch.Tensor, values: torch.Tensor, scales: Scales | None, place: tuple, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values of a part of the cache, as attention reads them."""
    if scales is None:
        return keys[place], values[place]
    return restore(keys[place], scales[0][place], dtype), restore(values[place], scales[1][place], dtype)


def attend(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: Heads, mask: torch.Tensor | None = None, *,
    causal: bool = False,
) -> torch.Tensor:  # fmt: skip
    """Scaled and perhaps capped scores, softmax, weighted sum: queries [B, H, S, D], keys [B, Hkv, N, D] -> as queries.

    Args:
        q: queries.
        k: keys.
        v: values, as the keys.
        heads: scale and cap.
        mask: bool, what each query sees, [..., S, N]; None for everything.
        causal: each of the S queries sees as many of the S keys as it is the how many-th; without a mask.
    """
    if heads.cap is None:
        return functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=causal, scale=heads.scale, enable_gqa=q.shape[1] != k.shape[1]
        )
    group = q.shape[1] // k.shape[1]
    if group > 1:
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    scores = q @ k.transpose(2, 3) * heads.score_scale
    scores = torch.tanh(scores / heads.cap) * heads.cap
    if causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(dim=-1, dtype=torch.float32).to(v.dtype) @ v


def _split_and_rotate(
    qkv: torch.Tensor, rows: int, heads: Heads, angles: tuple[torch.Tensor, torch.Tensor], rotated_width: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """[B * S, (H + 2 Hkv) D] -> queries [B, H, S, D], keys and values [B, Hkv, S, D], the first two rotated."""
    heads_first = qkv.view(rows, -1, heads.query + 2 * heads.key_value, heads.width).transpose(1, 2)
    rotated, v = heads_first.split([heads.query + heads.key_value, heads.key_value], dim=1)
    q, k = _rotate(rotated, angles, rotated_width).split([heads.query, heads.key_value], dim=1)
    return q, k, v


def _signed(rope: Rope, positions: torch.Tensor | slice, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines, and sines of which the first half is negated: a rotation is then two products and a swap of halves."""
    cos, sin = rope.cos[positions].to(dtype), rope.sin[positions].to(dtype)
    half = rope.rotated_width // 2
    return cos, torch.cat((-sin[..., :half], sin[..., half:]), dim=-1)


def _rotate(x: torch.Tensor, angles: tuple[torch.Tensor, torch.Tensor], width: int) -> torch.Tensor:
    """Turn each pair of an element of the first half and one of the second, of the first ``width`` elements."""
    cos, sin = angles
    if width == x.shape[-1]:
        return x * cos + x.roll(width // 2, -1) * sin
    partner = torch.cat((x[..., :width].roll(width // 2, -1), x[..., width:]), dim=-1)
    return x * cos + partner * sin
