"""Element by element on a GPU: the gate of a feed-forward layer, and conversions to and from quantised numbers."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from scripts.kernels.matrix import GROUP, LARGEST, Matrix
from scripts.kernels.parts import SILU
from scripts.kernels.triton_launch import use_pdl


@triton.jit
def activated(gate, ACTIVATION: tl.constexpr):
    """silu, or gelu by its tanh formula or exactly, of float32 numbers."""
    if ACTIVATION == "silu":
        result = gate / (1.0 + tl.exp(-gate))
    elif ACTIVATION == "gelu_pytorch_tanh":
        # (1 + tanh(z)) / 2 = 1 / (1 + exp(-2z)), z = sqrt(2 / pi) (x + 0.044715 x^3)
        result = gate / (1.0 + tl.exp(-1.5957691216057308 * (gate + 0.044715 * gate * gate * gate)))
    else:
        tl.static_assert(ACTIVATION == "gelu")
        result = 0.5 * gate * (1.0 + tl.math.erf(gate * 0.7071067811865476))
    return result


@triton.jit
def _gate(pairs, y, N, ACTIVATION: tl.constexpr, BLOCK: tl.constexpr, PDL: tl.constexpr):
    token, columns = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = columns < N
    if PDL:
        gdc_launch_dependents()
        gdc_wait()
    gate = tl.load(pairs + token * 2 * N + columns, mask=inside).to(tl.float32)
    up = tl.load(pairs + token * 2 * N + N + columns, mask=inside).to(tl.float32)
    tl.store(y + token * N + columns, (activated(gate, ACTIVATION) * up).to(y.dtype.element_ty), mask=inside)


def gate(pairs: torch.Tensor, activation: str = SILU) -> torch.Tensor:
    """[T, 2I] -> [T, I]: the activation of the first half times the second."""
    rows, width = len(pairs), pairs.shape[1] // 2
    y = pairs.new_empty(rows, width)
    early = use_pdl(pairs.device)
    block = min(1024, triton.next_power_of_2(width))
    options = {"BLOCK": block, "PDL": early, "num_warps": 4, "launch_pdl": early}
    _gate[(rows, triton.cdiv(width, block))](pairs, y, width, ACTIVATION=activation, **options)
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
def _dequantize(
    data, scales, minima, weight, K: tl.constexpr, BLOCK: tl.constexpr, INT4: tl.constexpr, GROUP: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    dtype: tl.constexpr = weight.dtype.element_ty
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    if INT4:
        HALF: tl.constexpr = K // 2
        inside = columns < HALF
        steps = tl.load(data + row * HALF + columns, mask=inside, other=0)
        groups = row * (K // GROUP) + tl.minimum(columns, HALF - 1) // GROUP
        low = (steps & 15).to(tl.float32) * tl.load(scales + groups).to(tl.float32)
        low += tl.load(minima + groups).to(tl.float32)
        groups += HALF // GROUP
        high = (steps >> 4).to(tl.float32) * tl.load(scales + groups).to(tl.float32)
        high += tl.load(minima + groups).to(tl.float32)
        tl.store(weight + row * K + columns, low.to(dtype), mask=inside)
        tl.store(weight + row * K + HALF + columns, high.to(dtype), mask=inside)
    else:
        inside = columns < K
        values = tl.load(data + row * K + columns, mask=inside, other=0.0).to(tl.float32) * tl.load(scales + row)
        tl.store(weight + row * K + columns, values.to(dtype), mask=inside)


def dequantize(matrix: Matrix, dtype: torch.dtype) -> torch.Tensor:
    """``matrix.dense(dtype)``, [N, K], in one kernel; ordinarily launched, so that it overlaps with nothing."""
    N, K = matrix.shape
    weight = torch.empty(N, K, dtype=dtype, device=matrix.data.device)
    stored = matrix.data.shape[1]
    block = min(2048, triton.next_power_of_2(stored))
    _dequantize[(N, triton.cdiv(stored, block))](
        matrix.data, matrix.scales, matrix.minima, weight, K=K, BLOCK=block, INT4=matrix.kind == "int4", GROUP=GROUP
    )
    return weight
