"""Root-mean-square norms as Triton kernels: of rows, and of the heads in a row of queries, keys and values."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from scripts.kernels.parts import Heads, Norm
from scripts.kernels.triton_launch import use_pdl
from scripts.kernels.triton_rotary import padded_width


@triton.jit
def scaled(values, rms_scale, weight, dtype: tl.constexpr, OFFSET: tl.constexpr):
    """Numbers times their row's scale and the weight: rounded before the weight and after it, as LlamaRMSNorm does.

    With OFFSET the factor is 1 + weight, and only the result is rounded.
    """
    if OFFSET:
        result = (values * rms_scale * (1.0 + weight.to(tl.float32))).to(dtype)
    else:
        result = ((values * rms_scale).to(dtype).to(tl.float32) * weight.to(tl.float32)).to(dtype)
    return result


@triton.jit
def rms_normalized(values, weight, eps, K: tl.constexpr, OFFSET: tl.constexpr):
    """The norm of a row [BLOCK], zeros behind the K-th."""
    wide = values.to(tl.float32)
    scale = tl.rsqrt(tl.sum(wide * wide, 0) / K + eps)
    return scaled(wide, scale, weight, weight.dtype, OFFSET)


@triton.jit
def _rms_norm(
    x, weight, residual, out, eps, K: tl.constexpr, BLOCK: tl.constexpr, OFFSET: tl.constexpr, RESIDUAL: tl.constexpr,
    WAIT: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < K
    scales = tl.load(weight + columns, mask=inside, other=0.0)
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    values = tl.load(x + row * K + columns, mask=inside, other=0.0)
    result = rms_normalized(values, scales, eps, K, OFFSET)
    if RESIDUAL:
        before = tl.load(residual + row * K + columns, mask=inside, other=0.0)
        result = (before.to(tl.float32) + result.to(tl.float32)).to(result.dtype)
    tl.store(out + row * K + columns, result, mask=inside)


def rms_norm(x: torch.Tensor, norm: Norm, residual: torch.Tensor | None = None) -> torch.Tensor:
    """[T, K] -> [T, K]: see ``reference.rms_norm``; one program a row."""
    rows, columns = x.shape
    out = torch.empty_like(x)
    block = triton.next_power_of_2(columns)
    wait = use_pdl(x.device)
    warps = min(16, max(1, block // 512))  # 16 numbers a thread
    _rms_norm[(rows,)](
        x, norm.weight, residual, out, norm.eps, columns, block, norm.offset, residual is not None, wait,
        num_warps=warps, launch_pdl=wait,
    )  # fmt: skip
    return out


@triton.jit
def _norm_heads(
    qkv, query_weight, key_weight, query_eps, key_eps, WIDTH: tl.constexpr, H: tl.constexpr, D: tl.constexpr,
    W: tl.constexpr, OFFSET: tl.constexpr, WAIT: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1)
    d = tl.arange(0, W)
    inside = d < D
    is_query = head < H
    weight = tl.load(query_weight + d, mask=inside & is_query, other=0.0)
    weight += tl.load(key_weight + d, mask=inside & (head >= H), other=0.0)
    eps = tl.where(is_query, query_eps, key_eps)
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    at = qkv + token * WIDTH + head * D + d
    values = tl.load(at, mask=inside, other=0.0)
    tl.store(at, rms_normalized(values, weight, eps, D, OFFSET), mask=inside)


def norm_heads(qkv: torch.Tensor, heads: Heads, query: Norm, key: Norm) -> torch.Tensor:
    """See ``reference.norm_heads``, in place; one program a head of a token."""
    wait = use_pdl(qkv.device)
    _norm_heads[(len(qkv), heads.query + heads.key_value)](
        qkv, query.weight, key.weight, query.eps, key.eps, qkv.shape[1], heads.query, heads.width,
        padded_width(heads.width), query.offset, wait, num_warps=1, launch_pdl=wait,
    )  # fmt: skip
    return qkv
