"""The operations of a decoder layer in plain torch: what runs on a CPU, and what the Triton kernels must match."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch.nn import functional

from scripts.kernels.matrix import Matrix


@dataclass
class Norm:
    """A root-mean-square norm (Zhang and Sennrich, 2019): weight [K] and epsilon."""

    weight: torch.Tensor
    eps: float


@dataclass(frozen=True)
class Heads:
    """Query heads, key-value heads and the width of a head."""

    query: int
    key_value: int
    width: int


@dataclass
class Rope:
    """Cosines and sines of the rotary embedding (Su et al., 2021), both float32 [positions, width], scaled."""

    cos: torch.Tensor
    sin: torch.Tensor


def rms_norm(x: torch.Tensor, norm: Norm) -> torch.Tensor:
    """[T, K] -> [T, K]: float32 inside, rounded before the weight, as transformers' LlamaRMSNorm."""
    if x.dtype == torch.float32:
        return functional.rms_norm(x, (x.shape[-1],), norm.weight, norm.eps)
    values = x.float()
    values = values * torch.rsqrt(values.pow(2).mean(-1, keepdim=True) + norm.eps)
    return norm.weight * values.to(x.dtype)


def linear(
    x: torch.Tensor, matrix: Matrix, *, norm: Norm | None = None, residual: torch.Tensor | None = None
) -> torch.Tensor:
    """[T, K] -> [T, N]: the norm, if any, the product, the bias, the residual."""
    if norm is not None:
        x = rms_norm(x, norm)
    if matrix.kind == "modules":
        y = torch.cat([module(x) for module in matrix.modules], dim=-1)
        return y if residual is None else residual + y
    weight = matrix.data if matrix.kind == "dense" else matrix.dense(x.dtype)
    if residual is not None and matrix.bias is None:
        return torch.addmm(residual, x, weight.t())
    y = functional.linear(x, weight, matrix.bias)
    return y if residual is None else residual + y


def gated_linear(x: torch.Tensor, matrix: Matrix, *, norm: Norm | None = None) -> torch.Tensor:
    """[T, K] -> [T, I]: SwiGLU's first half (Shazeer, 2020); the matrix holds the gate's rows, then the others."""
    gate, up = linear(x, matrix, norm=norm).chunk(2, dim=-1)
    return functional.silu(gate) * up


@dataclass
class PositionInfo:
    """Position ids and rotary angles of a step's new tokens; the same in every layer.

    Attributes:
        positions: int64 [B, S].
        angles: cosines and signed sines, each [B, 1, S, D] in the activations' type.
        length: positions of the longest row after the step.
        mask: which positions each new token sees, [B, 1, S, length]; None where it is all of them.
    """

    positions: torch.Tensor
    angles: tuple[torch.Tensor, torch.Tensor]
    length: int
    mask: torch.Tensor | None


def position_info(positions: torch.Tensor, count: int, rope: Rope, dtype: torch.dtype) -> PositionInfo:
    """Position ids and angles of ``count`` new tokens of each row, the first at ``positions``, int32 [B]."""
    position_ids = positions.long()[:, None] + torch.arange(count, device=positions.device)  # [B, S]
    length = int(positions.max()) + count
    whole = position_ids.numel() == 1
    mask = None if whole else (torch.arange(length, device=positions.device) <= position_ids[..., None])[:, None]
    angles = _signed(rope.cos[position_ids].to(dtype)[:, None], rope.sin[position_ids].to(dtype)[:, None])
    return PositionInfo(position_ids, angles, length, mask)


def decode_attention(
    qkv: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, positions: torch.Tensor, heads: Heads, rope: Rope,
    info: PositionInfo | None = None,
) -> torch.Tensor:  # fmt: skip
    """Rotate, store and attend: a few new tokens of each row, each seeing all before it.

    Args:
        qkv: [B * S, (H + 2 Hkv) D], the S new tokens of a row together.
        keys: the cache, [B, Hkv, L, D]; changed in place.
        values: the same.
        positions: int32 [B]: the position id of each row's first new token.
        heads: how many and how wide.
        rope: angles by position.
        info: ``position_info`` of the positions, if they are known already.

    Returns:
        [B * S, H D].
    """
    rows = positions.shape[0]
    count = qkv.shape[0] // rows
    info = info or position_info(positions, count, rope, qkv.dtype)
    q, k, v = _split_and_rotate(qkv, rows, heads, info.angles)
    if rows == 1:
        new = slice(info.length - count, info.length)
        keys[0, :, new], values[0, :, new] = k[0], v[0]
    else:
        row = torch.arange(rows, device=qkv.device)[:, None]
        keys[row, :, info.positions] = k.transpose(1, 2)
        values[row, :, info.positions] = v.transpose(1, 2)
    out = functional.scaled_dot_product_attention(
        q, keys[:, :, : info.length], values[:, :, : info.length], attn_mask=info.mask,
        enable_gqa=heads.query != heads.key_value,
    )  # fmt: skip
    return out.transpose(1, 2).reshape(rows * count, heads.query * heads.width)


def prefill_attention(
    qkv: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, start: int, heads: Heads, rope: Rope, rows: int
) -> torch.Tensor:
    """The same for a block of prompt tokens that stand at ``start`` and after in every row.

    What follows a row's own end is padding: nothing before it sees it.
    """
    count = qkv.shape[0] // rows
    part = slice(start, start + count)
    q, k, v = _split_and_rotate(qkv, rows, heads, _signed(rope.cos[part].to(qkv.dtype), rope.sin[part].to(qkv.dtype)))
    keys[:rows, :, start : start + count] = k
    values[:rows, :, start : start + count] = v
    options = {"enable_gqa": heads.query != heads.key_value}
    if start == 0:
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=True, **options)
    else:
        length = start + count
        mask = torch.ones(count, length, dtype=torch.bool, device=qkv.device).tril(diagonal=start)
        out = functional.scaled_dot_product_attention(
            q, keys[:rows, :, :length], values[:rows, :, :length], attn_mask=mask, **options
        )
    return out.transpose(1, 2).reshape(rows * count, heads.query * heads.width)


def packed_attention(
    qkv: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, positions: torch.Tensor, slots: torch.Tensor,
    heads: Heads, rope: Rope,
) -> torch.Tensor:  # fmt: skip
    """Rotate, store and attend: prompts one behind the other, each token seeing those of its own prompt up to itself.

    Args:
        qkv: [T, (H + 2 Hkv) D].
        keys: the cache, [rows, Hkv, L, D]; changed in place.
        values: the same.
        positions: int64 [T]: position ids; each prompt begins with 0.
        slots: int64 [T]: the cache's row of each token.
        heads: how many and how wide.
        rope: angles by position.

    Returns:
        [T, H D].
    """
    count = qkv.shape[0]
    angles = _signed(rope.cos[positions].to(qkv.dtype), rope.sin[positions].to(qkv.dtype))
    q, k, v = _split_and_rotate(qkv, 1, heads, angles)  # each [1, heads, T, D]
    keys[slots, :, positions] = k[0].transpose(0, 1)
    values[slots, :, positions] = v[0].transpose(0, 1)
    bounds = [*(positions == 0).nonzero().flatten().tolist(), count]
    out = [
        functional.scaled_dot_product_attention(
            q[:, :, first:end], k[:, :, first:end], v[:, :, first:end], is_causal=True,
            enable_gqa=heads.query != heads.key_value,
        )
        for first, end in pairwise(bounds)
    ]  # fmt: skip
    return torch.cat(out, dim=2).transpose(1, 2).reshape(count, heads.query * heads.width)


def _split_and_rotate(
    qkv: torch.Tensor, rows: int, heads: Heads, angles: tuple[torch.Tensor, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """[B * S, (H + 2 Hkv) D] -> queries [B, H, S, D], keys and values [B, Hkv, S, D], the first two rotated."""
    heads_first = qkv.view(rows, -1, heads.query + 2 * heads.key_value, heads.width).transpose(1, 2)
    rotated, v = heads_first.split([heads.query + heads.key_value, heads.key_value], dim=1)
    q, k = _rotate(rotated, angles).split([heads.query, heads.key_value], dim=1)
    return q, k, v


def _signed(cos: torch.Tensor, sin: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines, and sines of which the first half is negated: a rotation is then two products and a swap of halves."""
    half = sin.shape[-1] // 2
    return cos, torch.cat((-sin[..., :half], sin[..., half:]), dim=-1)


def _rotate(x: torch.Tensor, angles: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Turn each pair of an element of the first half and one of the second."""
    cos, sin = angles
    return x * cos + x.roll(x.shape[-1] // 2, -1) * sin


def max_and_argmax(x: torch.Tensor, head: Matrix, norm: Norm) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest logit of each row, float32 [T], and its token, int64 [T]."""
    best = linear(x, head, norm=norm).float().max(dim=-1)
    return best.values, best.indices


def argmax(x: torch.Tensor, head: Matrix, norm: Norm) -> torch.Tensor:
    """Greedy decoding: the token of the largest logit of each row, int64 [T]; the first where equal."""
    return linear(x, head, norm=norm).argmax(dim=-1)
