"""The operations of a decoder layer on an NVIDIA GPU: Triton kernels or torch's own, by shape.

A product with one row reads the weights once and is bound by that, so it fuses whatever stands around it; one with a
few rows too, through the tensor cores; beyond, cuBLAS is best, and quantised weights are written out for it first
(``fp8`` goes to cuBLAS as it is). Where a GPU was measured, ``tuned`` says which it is. Names and meanings are those of
``scripts.kernels.reference``.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch.nn import functional
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from scripts.kernels import triton_small, tuned
from scripts.kernels.matrix import GROUP, LARGEST, Matrix
from scripts.kernels.reference import Heads, Norm, Rope
from scripts.kernels.triton_attention import attend, attend_prompt
from scripts.kernels.triton_choose import best_of, choose
from scripts.kernels.triton_launch import use_pdl
from scripts.kernels.triton_linear import Config, gemv
from scripts.kernels.triton_norm import rms_norm

__all__ = [
    "Heads",
    "Norm",
    "Rope",
    "attend",
    "attend_prompt",
    "best_of",
    "choose",
    "gated_linear",
    "linear",
    "rms_norm",
]

# By rule, the most rows of x for which the kernel of few rows is used; with more cuBLAS is faster.
SMALL = {"dense": 0, "int8": 128, "int4": 128, "fp8": 16}
FP8_STEP = 16  # cuBLAS's fp8 product needs N and K to be multiples of it


def linear(
    x: torch.Tensor, matrix: Matrix, *, norm: Norm | None = None, residual: torch.Tensor | None = None
) -> torch.Tensor:
    """[T, K] -> [T, N]: the norm, if any, the product, the bias, the residual."""
    return _product(x, matrix, norm, residual=residual)


def gated_linear(x: torch.Tensor, matrix: Matrix, *, norm: Norm | None = None) -> torch.Tensor:
    """[T, K] -> [T, I]: silu of the first half of the outputs, times the second."""
    return _product(x, matrix, norm, gated=True)


def _product(
    x: torch.Tensor, matrix: Matrix, norm: Norm | None, *, residual: torch.Tensor | None = None, gated: bool = False
) -> torch.Tensor:
    kernel, cut = _way(x, matrix)
    if kernel == tuned.ROW:
        cut = None if cut is None else Config(*cut)
        return gemv(x, matrix, norm=norm, residual=residual, gated=gated, cut=cut)
    if norm is not None:
        x = rms_norm(x, norm)
    if kernel == tuned.FEW:
        cut = None if cut is None else triton_small.Cut(*cut)
        return triton_small.small(x, matrix, residual=residual, gated=gated, cut=cut)
    y = by_torch(x, matrix, residual)
    return gate(y) if gated else y


def _way(x: torch.Tensor, matrix: Matrix) -> tuple[str, tuple[int, ...] | None]:
    """The kernel and its cut: as measured on this GPU, or by rule."""
    if matrix.kind == "modules":
        return tuned.TORCH, None
    found = tuned.choice(x, matrix.kind, *matrix.shape)
    if found is not None:
        return found
    if len(x) == 1:
        return tuned.ROW, None
    return (tuned.FEW if len(x) <= SMALL[matrix.kind] else tuned.TORCH), None


def by_torch(x: torch.Tensor, matrix: Matrix, residual: torch.Tensor | None) -> torch.Tensor:
    """The product by torch."""
    if matrix.kind == "modules":
        y = torch.cat([module(x) for module in matrix.modules], dim=-1)
        return y if residual is None else y + residual
    if matrix.kind == "fp8" and x.dtype == torch.bfloat16 and not any(size % FP8_STEP for size in matrix.shape):
        rows, scales = quantize_rows(x)
        y = torch._scaled_mm(
            rows,
            matrix.data.t(),
            scales,
            matrix.scales[None, :],
            out_dtype=x.dtype,
            use_fast_accum=True,
        )
        y = y if matrix.bias is None else y + matrix.bias
        return y if residual is None else y + residual
    weight = matrix.data if matrix.kind == "dense" else dequantize(matrix, x.dtype)
    if residual is not None and matrix.bias is None:
        return torch.addmm(residual, x, weight.t())
    y = functional.linear(x, weight, matrix.bias)
    return y if residual is None else y + residual


@triton.jit
def _gate(pairs, y, N, BLOCK: tl.constexpr, PDL: tl.constexpr):
    token, columns = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    seen = columns < N
    if PDL:
        gdc_launch_dependents()
        gdc_wait()
    gate = tl.load(pairs + token * 2 * N + columns, mask=seen).to(tl.float32)
    up = tl.load(pairs + token * 2 * N + N + columns, mask=seen).to(tl.float32)
    tl.store(y + token * N + columns, (gate / (1.0 + tl.exp(-gate)) * up).to(y.dtype.element_ty), mask=seen)


def gate(pairs: torch.Tensor) -> torch.Tensor:
    """[T, 2I] -> [T, I]: silu of the first half times the second."""
    rows, width = len(pairs), pairs.shape[1] // 2
    y = pairs.new_empty(rows, width)
    early = use_pdl(pairs.device)
    block = min(1024, triton.next_power_of_2(width))
    _gate[(rows, triton.cdiv(width, block))](pairs, y, width, BLOCK=block, PDL=early, num_warps=4, launch_pdl=early)
    return y


@triton.jit
def _quantize_rows(x, data, scales, K, LARGEST, BLOCK: tl.constexpr, PDL: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    if PDL:
        gdc_launch_dependents()
        gdc_wait()
    values = tl.load(x + row * K + columns, mask=columns < K, other=0.0).to(tl.float32)
    scale = tl.maximum(tl.max(tl.abs(values), axis=0) / LARGEST, 1e-12)
    tl.store(scales + row, scale)
    scaled = tl.minimum(tl.maximum(values / scale, -LARGEST), LARGEST)
    tl.store(data + row * K + columns, scaled.to(tl.float8e4nv), mask=columns < K)


def quantize_rows(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """[T, K] -> float8 e4m3 [T, K] and its scales, float32 [T, 1]: each row by its largest absolute value."""
    data, scales = torch.empty_like(x, dtype=torch.float8_e4m3fn), x.new_empty(len(x), 1, dtype=torch.float32)
    early = use_pdl(x.device)
    block = triton.next_power_of_2(x.shape[1])
    options = {"num_warps": 8 if block > 2048 else 4, "launch_pdl": early}
    _quantize_rows[(len(x),)](x, data, scales, x.shape[1], LARGEST["fp8"], BLOCK=block, PDL=early, **options)
    return data, scales


@triton.jit
def _write_out(
    data, scales, minima, weight, K: tl.constexpr, BLOCK: tl.constexpr, INT4: tl.constexpr, GROUP: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    dtype: tl.constexpr = weight.dtype.element_ty
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    if INT4:
        HALF: tl.constexpr = K // 2
        seen = columns < HALF
        steps = tl.load(data + row * HALF + columns, mask=seen, other=0)
        groups = row * (K // GROUP) + tl.minimum(columns, HALF - 1) // GROUP
        low = (steps & 15).to(tl.float32) * tl.load(scales + groups).to(tl.float32)
        low += tl.load(minima + groups).to(tl.float32)
        groups += HALF // GROUP
        high = (steps >> 4).to(tl.float32) * tl.load(scales + groups).to(tl.float32)
        high += tl.load(minima + groups).to(tl.float32)
        tl.store(weight + row * K + columns, low.to(dtype), mask=seen)
        tl.store(weight + row * K + HALF + columns, high.to(dtype), mask=seen)
    else:
        seen = columns < K
        values = tl.load(data + row * K + columns, mask=seen, other=0.0).to(tl.float32) * tl.load(scales + row)
        tl.store(weight + row * K + columns, values.to(dtype), mask=seen)


def dequantize(matrix: Matrix, dtype: torch.dtype) -> torch.Tensor:
    """``matrix.dense(dtype)``, [N, K], in one kernel; ordinarily launched, so that it overlaps with nothing."""
    N, K = matrix.shape
    weight = torch.empty(N, K, dtype=dtype, device=matrix.data.device)
    stored = matrix.data.shape[1]
    block = min(2048, triton.next_power_of_2(stored))
    _write_out[(N, triton.cdiv(stored, block))](
        matrix.data, matrix.scales, matrix.minima, weight, K=K, BLOCK=block, INT4=matrix.kind == "int4", GROUP=GROUP
    )
    return weight
