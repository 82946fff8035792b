"""Matrix products on a GPU: a Triton kernel or torch's own, by shape.

A product of one row (GEMV) reads the weights once and is bound by that, so it fuses whatever stands around it; one of a
few rows too, through the tensor cores; beyond, cuBLAS is best, and quantised weights are dequantised for it first
(``fp8`` goes to cuBLAS as it is). On GPUs that were autotuned, ``tuned`` says which is fastest.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from scripts.kernels import triton_gemv, triton_skinny, tuned
from scripts.kernels.matrix import Matrix
from scripts.kernels.parts import SILU, Norm
from scripts.kernels.triton_convert import dequantize, gate, quantize_rows
from scripts.kernels.triton_norm import rms_norm
from scripts.kernels.triton_pushed import Pushed, fits

# By rule, the most rows of x for which the skinny kernel is used; with more cuBLAS is faster.
SKINNY_ROWS = {"dense": 0, "int8": 128, "int4": 128, "fp8": 16}
FP8_STEP = 16  # cuBLAS's fp8 product needs N and K to be multiples of it


def linear(
    x: torch.Tensor, matrix: Matrix, *, norm: Norm | None = None, residual: torch.Tensor | None = None
) -> torch.Tensor:
    """[T, K] -> [T, N]: the norm, if any, the product, the bias, the residual."""
    return _product(x, matrix, norm, residual=residual)


def pushes(x: torch.Tensor, matrix: Matrix) -> bool:
    """Whether ``summed_linear`` computes that product."""
    return len(x) == 1 and fits(matrix.shape[0]) and _choice(x, matrix)[0] == tuned.GEMV


def summed_linear(x: torch.Tensor, matrix: Matrix, pushed: Pushed, residual: torch.Tensor | None) -> torch.Tensor:
    """[1, K] -> [1, N]: product and bias, summed over the ranks; then the residual, the same on each of them."""
    _, sizes = _choice(x, matrix)
    tile = triton_gemv.TileConfig(*sizes) if sizes else None
    return triton_gemv.gemv(x, matrix, residual=residual, tile=tile, pushed=pushed)


def gated_linear(x: torch.Tensor, matrix: Matrix, *, norm: Norm | None = None, activation: str = SILU) -> torch.Tensor:
    """[T, K] -> [T, I]: the activation of the first half of the outputs, times the second."""
    return _product(x, matrix, norm, gated=True, activation=activation)


def _product(
    x: torch.Tensor, matrix: Matrix, norm: Norm | None, *, residual: torch.Tensor | None = None, gated: bool = False,
    activation: str = SILU,
) -> torch.Tensor:  # fmt: skip
    kernel, sizes = _choice(x, matrix)
    if kernel == tuned.GEMV:
        tile = triton_gemv.TileConfig(*sizes) if sizes else None
        return triton_gemv.gemv(x, matrix, norm=norm, residual=residual, gated=gated, activation=activation, tile=tile)
    if norm is not None:
        x = rms_norm(x, norm)
    if kernel == tuned.SKINNY:
        tile = triton_skinny.TileConfig(*sizes) if sizes else None
        return triton_skinny.skinny_gemm(x, matrix, residual=residual, gated=gated, activation=activation, tile=tile)
    y = by_torch(x, matrix, residual)
    return gate(y, activation) if gated else y


def _choice(x: torch.Tensor, matrix: Matrix) -> tuned.Choice:
    """The kernel and its tile configuration: as autotuned on this GPU, or by rule."""
    if matrix.kind == "modules":
        return tuned.TORCH, ()
    found = tuned.choice(x, matrix.kind, *matrix.shape)
    if found is not None:
        return found
    if len(x) == 1:
        return tuned.GEMV, ()
    return (tuned.SKINNY if len(x) <= SKINNY_ROWS[matrix.kind] else tuned.TORCH), ()


def by_torch(x: torch.Tensor, matrix: Matrix, residual: torch.Tensor | None) -> torch.Tensor:
    """The product by torch."""
    if matrix.kind == "modules":
        y = torch.cat([module(x) for module in matrix.modules], dim=-1)
        return y if residual is None else y + residual
    if matrix.kind == "fp8" and x.dtype == torch.bfloat16 and not any(size % FP8_STEP for size in matrix.shape):
        rows, scales = quantize_rows(x)
        y = torch._scaled_mm(
            rows, matrix.data.t(), scales, matrix.scales[None, :], out_dtype=x.dtype, use_fast_accum=True
        )
        y = y if matrix.bias is None else y + matrix.bias
        return y if residual is None else y + residual
    weight = matrix.data if matrix.kind == "dense" else dequantize(matrix, x.dtype)
    if residual is not None and matrix.bias is None:
        return torch.addmm(residual, x, weight.t())
    y = functional.linear(x, weight, matrix.bias)
    return y if residual is None else y + residual
