"""GEMV, a row times a matrix (decode at batch 1): one pass over the weights, as fast as memory delivers them.

A program owns a few rows of the matrix. It loads its whole first tile of weights before it waits for the kernel
before it (programmatic dependent launch), so weights stream while that kernel drains; activations come after the wait.
Tiles are [C, R, V]: V neighbouring columns (16 bytes) belong to one thread and are summed inside it, C runs over the
threads, so that a step ends without any exchange between them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from scripts.kernels.matrix import GROUP, Matrix
from scripts.kernels.parts import SILU, Norm
from scripts.kernels.triton_convert import activated
from scripts.kernels.triton_launch import multiprocessors, use_pdl
from scripts.kernels.triton_norm import scaled
from scripts.kernels.triton_pushed import Pushed, push_parts, sum_pushed
from scripts.kernels.triton_unpack import load_groups, load_tile, load_vector, to_float32, unpack_int4

LOAD_BYTES = 16  # of one thread's load: the widest there is
BYTES_IN_FLIGHT = 128  # of one thread
MIN_PROGRAMS = 3  # a multiprocessor, before a program takes more rows


class TileConfig(NamedTuple):
    """Matrix rows and chunks of V columns of a tile, warps of a program, row tiles of a program."""

    rows: int
    chunks: int
    warps: int
    tiles: int = 1


@triton.jit
def _products(tile, x, FAST: tl.constexpr):
    """[C, R, V] times [C, V], summed over V: [C, R]."""
    return tl.sum(to_float32(tile, FAST) * x[:, None, :], axis=2)


@triton.jit
def _int4_products(tile, low, high, low_scale, high_scale, low_minimum, high_minimum, FAST: tl.constexpr):
    """The same of two int4 values a byte; scale and minimum are applied to a chunk's sums, not to each weight."""
    RAISED: tl.constexpr = 128.0 if FAST else 0.0
    low_steps, high_steps = unpack_int4(tile, FAST)
    low_scale, high_scale = low_scale.to(tl.float32), high_scale.to(tl.float32)
    sums = tl.sum(low_steps * low[:, None, :], axis=2) * low_scale
    sums += tl.sum(high_steps * high[:, None, :], axis=2) * high_scale
    sums += tl.sum(low, axis=1)[:, None] * (low_minimum.to(tl.float32) - RAISED * low_scale)
    return sums + tl.sum(high, axis=1)[:, None] * (high_minimum.to(tl.float32) - RAISED * high_scale)


@triton.jit
def _gemv(
    x, weights, scales, minima, bias, norm_weight, residual, y, counts, rooms, N, eps, K: tl.constexpr,
    BN: tl.constexpr, C: tl.constexpr, V: tl.constexpr, INT4: tl.constexpr, SCALED: tl.constexpr, BIAS: tl.constexpr,
    NORM: tl.constexpr, OFFSET: tl.constexpr, RESIDUAL: tl.constexpr, GATED: tl.constexpr, ACTIVATION: tl.constexpr,
    GROUP: tl.constexpr, TILES: tl.constexpr, FAST: tl.constexpr, PDL: tl.constexpr, RANK: tl.constexpr,
    RANKS: tl.constexpr,
):  # fmt: skip
    """TILES times BN of y's N elements; gated, each from two rows of weights [2N, K]. RANKS above 0: sent to them."""
    WIDTH: tl.constexpr = K // 2 if INT4 else K  # stored elements of a row
    GROUPS: tl.constexpr = K // GROUP
    STEP: tl.constexpr = C * V
    R: tl.constexpr = 2 * BN if GATED else BN
    dtype: tl.constexpr = x.dtype.element_ty
    for part in tl.static_range(TILES):
        outputs = (tl.program_id(0) * TILES + part) * BN + tl.arange(0, BN)
        rows = tl.minimum(outputs, N - 1).to(tl.int64)
        if GATED:  # a row of the gate and its partner side by side
            rows = tl.reshape(rows[:, None] + tl.arange(0, 2)[None, :] * N, [R])
        tile = load_tile(weights, rows, 0, WIDTH, C, V)
        if INT4:
            low_scale = load_groups(scales, rows, 0, GROUPS, GROUP, C, V)
            high_scale = load_groups(scales, rows, WIDTH, GROUPS, GROUP, C, V)
            low_minimum = load_groups(minima, rows, 0, GROUPS, GROUP, C, V)
            high_minimum = load_groups(minima, rows, WIDTH, GROUPS, GROUP, C, V)
        if SCALED:
            scale = tl.load(scales + rows)
        if BIAS:
            offset = tl.load(bias + rows).to(tl.float32)

        if part == 0:  # what all rows share, and the wait for whoever writes it
            if NORM:
                low_norm_weight = load_vector(norm_weight, 0, WIDTH, C, V)
                if INT4:
                    high_norm_weight = load_vector(norm_weight + WIDTH, 0, WIDTH, C, V)
            if PDL:
                if RANKS > 0:  # who waits for the parts reads what must have ended
                    gdc_wait()
                    gdc_launch_dependents()
                else:
                    gdc_launch_dependents()
                    gdc_wait()
            first_low = load_vector(x, 0, WIDTH, C, V)
            if INT4:
                first_high = load_vector(x + WIDTH, 0, WIDTH, C, V)
            if NORM:
                squares = first_low * first_low
                if INT4:
                    squares += first_high * first_high
                for column in range(STEP, WIDTH, STEP):
                    later = load_vector(x, column, WIDTH, C, V)
                    squares += later * later
                    if INT4:
                        later = load_vector(x + WIDTH, column, WIDTH, C, V)
                        squares += later * later
                rms_scale = tl.rsqrt(tl.sum(tl.sum(squares, axis=1), axis=0) / K + eps)
                first_low = scaled(first_low, rms_scale, low_norm_weight, dtype, OFFSET).to(tl.float32)
                if INT4:
                    first_high = scaled(first_high, rms_scale, high_norm_weight, dtype, OFFSET).to(tl.float32)
        if RESIDUAL:
            before = tl.load(residual + tl.minimum(outputs, N - 1)).to(tl.float32)

        low = first_low
        if INT4:
            high = first_high
        sums = tl.zeros([C, R], tl.float32)
        for column in range(STEP, WIDTH, STEP):  # the next tile is loaded while this one is used
            next_tile = load_tile(weights, rows, column, WIDTH, C, V)
            next_low = load_vector(x, column, WIDTH, C, V)
            if NORM:
                next_norm_weight = load_vector(norm_weight, column, WIDTH, C, V)
                next_low = scaled(next_low, rms_scale, next_norm_weight, dtype, OFFSET).to(tl.float32)
            if INT4:
                next_low_scale = load_groups(scales, rows, column, GROUPS, GROUP, C, V)
                next_high_scale = load_groups(scales, rows, WIDTH + column, GROUPS, GROUP, C, V)
                next_low_minimum = load_groups(minima, rows, column, GROUPS, GROUP, C, V)
                next_high_minimum = load_groups(minima, rows, WIDTH + column, GROUPS, GROUP, C, V)
                next_high = load_vector(x + WIDTH, column, WIDTH, C, V)
                if NORM:
                    next_norm_weight = load_vector(norm_weight + WIDTH, column, WIDTH, C, V)
                    next_high = scaled(next_high, rms_scale, next_norm_weight, dtype, OFFSET).to(tl.float32)
                sums += _int4_products(tile, low, high, low_scale, high_scale, low_minimum, high_minimum, FAST)
                low_scale, high_scale = next_low_scale, next_high_scale
                low_minimum, high_minimum = next_low_minimum, next_high_minimum
                high = next_high
            else:
                sums += _products(tile, low, FAST)
            tile, low = next_tile, next_low
        if INT4:
            sums += _int4_products(tile, low, high, low_scale, high_scale, low_minimum, high_minimum, FAST)
        else:
            sums += _products(tile, low, FAST)

        result = tl.sum(sums, axis=0)
        if SCALED:
            result *= scale
        if BIAS:
            result += offset
        if GATED:
            gate, up = tl.split(tl.reshape(result, [BN, 2]))
            result = activated(gate, ACTIVATION) * up
        if RESIDUAL:
            result += before
        if RANKS > 0:
            push_parts(result, outputs, N, counts, rooms, RANK, RANKS)
        else:
            tl.store(y + outputs, result.to(dtype), mask=outputs < N)


def rule_tile(kind: str, N: int, K: int, itemsize: int, count: int, gated: bool) -> TileConfig:
    """The tile configuration of a product with a matrix [N, K] on that many multiprocessors, by rule."""
    width = K // 2 if kind == "int4" else K
    each = load_width(width, itemsize)
    row = triton.next_power_of_2(triton.cdiv(width, each))  # chunks in a row
    warps = 8 if row >= 1024 else max(1, min(4, row // 32))
    loads = BYTES_IN_FLIGHT // (each * itemsize)
    chunks = min(row, 16 * warps * loads)
    while chunks > 32 * warps and width % (chunks * each):  # shorter tiles waste less of the last one
        chunks //= 2
    if width > chunks * each:  # two tiles are on their way
        loads //= 2
    rows = max(1, loads * 32 * warps // chunks)
    while rows > 1 and rows * count * MIN_PROGRAMS > N:
        rows //= 2
    tiles = 2 if kind == "int4" and rows * count * MIN_PROGRAMS * 4 <= N else 1  # to norm the row less often
    return TileConfig(max(rows, 2) if gated else rows, chunks, warps, tiles)


def load_width(width: int, itemsize: int) -> int:
    """Elements of a thread's load: as many as 16 bytes hold and every row's start allows."""
    return math.gcd(width, LOAD_BYTES // itemsize)


def gemv(
    x: torch.Tensor, matrix: Matrix, *, norm: Norm | None = None, residual: torch.Tensor | None = None,
    gated: bool = False, activation: str = SILU, tile: TileConfig | None = None, pushed: Pushed | None = None,
) -> torch.Tensor:  # fmt: skip
    """[1, K] -> [1, N], or gated [1, N / 2]; otherwise as ``reference.linear`` and ``reference.gated_linear``.

    With ``pushed`` it is summed over the ranks, and the residual, the same on each, is added to the sum.
    """
    N, K = matrix.shape
    itemsize = matrix.data.element_size()
    tile = tile or rule_tile(matrix.kind, N, K, itemsize, multiprocessors(x.device), gated)
    outputs = N // 2 if gated else N
    block = tile.rows // 2 if gated else tile.rows
    y = None if pushed else x.new_empty(1, outputs)
    pdl = use_pdl(x.device)
    added = None if pushed else residual
    _gemv[(triton.cdiv(outputs, block * tile.tiles),)](
        x, matrix.data, matrix.scales, matrix.minima, matrix.bias, None if norm is None else norm.weight, added, y,
        pushed.counts if pushed else None, pushed.rooms if pushed else None, outputs,
        0.0 if norm is None else norm.eps, K=K, BN=block, C=tile.chunks,
        V=load_width(matrix.data.shape[1], itemsize), INT4=matrix.kind == "int4",
        SCALED=matrix.kind in ("int8", "fp8"), BIAS=matrix.bias is not None, NORM=norm is not None,
        OFFSET=norm is not None and norm.offset, RESIDUAL=added is not None, GATED=gated, ACTIVATION=activation,
        GROUP=GROUP, TILES=tile.tiles, FAST=x.is_cuda, PDL=pdl, RANK=pushed.rank if pushed else 0,
        RANKS=pushed.size if pushed else 0, num_warps=tile.warps, launch_pdl=pdl,
    )  # fmt: skip
    return sum_pushed(x, residual, outputs, pushed) if pushed else y
