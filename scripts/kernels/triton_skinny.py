"""Skinny GEMM, a few rows (2 to 128) times a matrix: bound by reading the weights, which are dequantised on their way.

The weights are the large operand of the tensor cores' product: y^T = W x^T, in tiles [R, BK] times [BK, BT] with the
rows of x padded to 16 at least. Where a matrix has too few rows to occupy the GPU, its columns are split over programs
whose sums a second kernel adds in a fixed order.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from scripts.kernels.matrix import GROUP, Matrix
from scripts.kernels.parts import SILU
from scripts.kernels.triton_convert import activated
from scripts.kernels.triton_launch import multiprocessors, use_pdl
from scripts.kernels.triton_unpack import unpack_int4

MAX_BLOCK_ROWS = 128  # rows of x


class TileConfig(NamedTuple):
    """Matrix rows and stored columns of a tile, warps, loop stages, programs that share a row (split K)."""

    rows: int
    columns: int
    warps: int
    stages: int
    splits: int = 1


@triton.jit
def _inputs(x, tokens, columns, T, K: tl.constexpr, RAGGED: tl.constexpr):
    """x^T, [BK, BT]; zero where there is no such token or column."""
    inside = (tokens < T)[None, :]
    if RAGGED:
        inside = inside & (columns < K)[:, None]
    return tl.load(x + tokens[None, :] * K + columns[:, None], mask=inside, other=0.0)


@triton.jit
def _finish(
    result, scales, bias, residual, y, rows, outputs, tokens, T, N, SCALED: tl.constexpr, BIAS: tl.constexpr,
    RESIDUAL: tl.constexpr, GATED: tl.constexpr, ACTIVATION: tl.constexpr, R: tl.constexpr, BT: tl.constexpr,
):  # fmt: skip
    """The scale, the bias, the gate, the residual; result [R, BT] goes to y [T, N]."""
    if SCALED:
        result *= tl.load(scales + rows)[:, None]
    if BIAS:
        result += tl.load(bias + rows).to(tl.float32)[:, None]
    if GATED:
        gate, up = tl.split(tl.permute(tl.reshape(result, [R // 2, 2, BT]), (0, 2, 1)))
        result = activated(gate, ACTIVATION) * up
    offsets = tokens[None, :] * N + outputs[:, None]
    inside = (tokens < T)[None, :] & (outputs < N)[:, None]
    if RESIDUAL:
        result += tl.load(residual + offsets, mask=inside, other=0.0).to(tl.float32)
    tl.store(y + offsets, result.to(y.dtype.element_ty), mask=inside)


@triton.jit
def _rows(block, N, BN: tl.constexpr, GATED: tl.constexpr):
    """The block's columns of y and its rows in the matrix; gated, a row of the gate and its partner side by side."""
    outputs = block * BN + tl.arange(0, BN)
    rows = tl.minimum(outputs, N - 1)
    if GATED:
        rows = tl.reshape(rows[:, None] + tl.arange(0, 2)[None, :] * N, [2 * BN])
    return outputs, rows


@triton.jit
def _skinny_gemm(
    x, weights, scales, minima, bias, residual, y, partial, T, N, K: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
    BT: tl.constexpr, STAGES: tl.constexpr, SPLITS: tl.constexpr, INT4: tl.constexpr, SCALED: tl.constexpr,
    BIAS: tl.constexpr, RESIDUAL: tl.constexpr, GATED: tl.constexpr, ACTIVATION: tl.constexpr, GROUP: tl.constexpr,
    FAST: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """BN of the N outputs of BT rows of x; of SPLITS programs each sums its share of the columns."""
    WIDTH: tl.constexpr = K // 2 if INT4 else K  # stored elements of a row
    SHARE: tl.constexpr = (WIDTH + SPLITS * BK - 1) // (SPLITS * BK) * BK
    RAGGED: tl.constexpr = WIDTH % BK != 0 or SHARE * SPLITS != WIDTH
    R: tl.constexpr = 2 * BN if GATED else BN
    dtype: tl.constexpr = x.dtype.element_ty
    outputs, rows = _rows(tl.program_id(0), N, BN, GATED)
    tokens = tl.program_id(1) * BT + tl.arange(0, BT)
    starts = rows.to(tl.int64) * WIDTH
    begin = tl.program_id(2) * SHARE
    if PDL:
        gdc_launch_dependents()
        gdc_wait()
    sums = tl.zeros([R, BT], tl.float32)
    for step in tl.range(0, SHARE, BK, num_stages=STAGES):
        column = begin + step
        columns = column + tl.arange(0, BK)
        pointers = weights + starts[:, None] + columns[None, :]
        if RAGGED:
            tile = tl.load(pointers, mask=(columns < WIDTH)[None, :], other=0.0, eviction_policy="evict_first")
        else:
            tile = tl.load(pointers, eviction_policy="evict_first")
        if INT4:  # BK is a group's 64 columns, in each half
            OFFSET: tl.constexpr = 128.0 if FAST else 0.0
            offsets = rows * (K // GROUP) + tl.minimum(column, WIDTH - BK) // GROUP
            low_scale = tl.load(scales + offsets).to(tl.float32)
            high_scale = tl.load(scales + offsets + WIDTH // GROUP).to(tl.float32)
            low_minimum = tl.load(minima + offsets).to(tl.float32) - OFFSET * low_scale
            high_minimum = tl.load(minima + offsets + WIDTH // GROUP).to(tl.float32) - OFFSET * high_scale
            low, high = unpack_int4(tile, FAST)
            low = (low * low_scale[:, None] + low_minimum[:, None]).to(dtype)
            high = (high * high_scale[:, None] + high_minimum[:, None]).to(dtype)
            sums = tl.dot(low, _inputs(x, tokens, columns, T, K, RAGGED), sums, input_precision="ieee")
            # Beyond a row's end x is read, not the weight: such columns must be zero in x too.
            columns = tl.where(columns < WIDTH, columns + WIDTH, K) if RAGGED else columns + WIDTH
            sums = tl.dot(high, _inputs(x, tokens, columns, T, K, RAGGED), sums, input_precision="ieee")
        else:
            if tile.dtype == tl.float8e4nv:
                tile = tile.to(tl.float16).to(tl.float32)  # conversions that the hardware has
            sums = tl.dot(tile.to(dtype), _inputs(x, tokens, columns, T, K, RAGGED), sums, input_precision="ieee")
    if SPLITS == 1:
        _finish(
            sums, scales, bias, residual, y, rows, outputs, tokens, T, N, SCALED, BIAS, RESIDUAL, GATED, ACTIVATION, R,
            BT,
        )  # fmt: skip
    else:  # partial [SPLITS, T, rows of the matrix]
        TOTAL = 2 * N if GATED else N
        offsets = (tl.program_id(2) * T + tokens)[None, :].to(tl.int64) * TOTAL + rows[:, None]
        inside = outputs < N
        if GATED:
            inside = tl.reshape(inside[:, None] & (tl.arange(0, 2)[None, :] < 2), [R])
        tl.store(partial + offsets, sums, mask=inside[:, None] & (tokens < T)[None, :])


@triton.jit
def _add_splits(
    partial, scales, bias, residual, y, T, N, BN: tl.constexpr, SPLITS: tl.constexpr, SCALED: tl.constexpr,
    BIAS: tl.constexpr, RESIDUAL: tl.constexpr, GATED: tl.constexpr, ACTIVATION: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """The sums of all splits, in their order, of BN outputs of one row of x."""
    R: tl.constexpr = 2 * BN if GATED else BN
    outputs, rows = _rows(tl.program_id(0), N, BN, GATED)
    tokens = tl.program_id(1) + tl.arange(0, 1)
    TOTAL = 2 * N if GATED else N
    if PDL:
        gdc_launch_dependents()
        gdc_wait()
    result = tl.zeros([R, 1], tl.float32)
    for split in tl.static_range(SPLITS):
        result += tl.load(partial + (split * T + tokens)[None, :].to(tl.int64) * TOTAL + rows[:, None])
    _finish(
        result, scales, bias, residual, y, rows, outputs, tokens, T, N, SCALED, BIAS, RESIDUAL, GATED, ACTIVATION, R, 1
    )


def rule_tile(kind: str, N: int, K: int, tokens: int, count: int, itemsize: int) -> TileConfig:
    """The tile configuration of a product of so many rows of x with a matrix [N, K], by rule.

    Args:
        kind: of the matrix.
        N: its rows.
        K: its columns.
        tokens: rows of x.
        count: multiprocessors.
        itemsize: bytes of an element of x; with 4, tiles in flight take twice the shared memory, so there are fewer.
    """
    rows = 64  # what the tensor cores take at once
    columns = GROUP if kind == "int4" or tokens > 64 else 2 * GROUP
    splits = 1
    while splits < 4 and triton.cdiv(N, rows) * splits * 2 <= 2 * count and 1024 * splits <= K:
        splits *= 2
    return TileConfig(rows, columns, 4, 4 if itemsize < 4 else 2, splits)


def skinny_gemm(
    x: torch.Tensor, matrix: Matrix, *, residual: torch.Tensor | None = None, gated: bool = False,
    activation: str = SILU, tile: TileConfig | None = None,
) -> torch.Tensor:  # fmt: skip
    """[T, K] -> [T, N], or gated [T, N / 2]; otherwise as ``reference.linear`` and ``reference.gated_linear``."""
    N, K = matrix.shape
    tokens = len(x)
    tile = tile or rule_tile(matrix.kind, N, K, tokens, multiprocessors(x.device), x.element_size())
    outputs = N // 2 if gated else N
    rows = tile.rows // 2 if gated else tile.rows
    block = min(MAX_BLOCK_ROWS, max(16, triton.next_power_of_2(tokens)))
    y = x.new_empty(tokens, outputs)
    partial = x.new_empty(tile.splits, tokens, N, dtype=torch.float32) if tile.splits > 1 else None
    pdl = use_pdl(x.device)
    shared = {
        "SPLITS": tile.splits, "SCALED": matrix.kind in ("int8", "fp8"), "BIAS": matrix.bias is not None,
        "RESIDUAL": residual is not None, "GATED": gated, "ACTIVATION": activation,
        "PDL": pdl, "launch_pdl": pdl,
    }  # fmt: skip
    _skinny_gemm[(triton.cdiv(outputs, rows), triton.cdiv(tokens, block), tile.splits)](
        x, matrix.data, matrix.scales, matrix.minima, matrix.bias, residual, y, partial, tokens, outputs, K=K, BN=rows,
        BK=tile.columns, BT=block, STAGES=tile.stages, INT4=matrix.kind == "int4", GROUP=GROUP, FAST=x.is_cuda,
        num_warps=tile.warps, **shared,
    )  # fmt: skip
    if tile.splits > 1:
        block = min(512, triton.next_power_of_2(outputs))
        _add_splits[(triton.cdiv(outputs, block), tokens)](
            partial, matrix.scales, matrix.bias, residual, y, tokens, outputs, BN=block, num_warps=4, **shared
        )
    return y
