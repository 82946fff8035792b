"""A row times a matrix (decode at batch 1): one pass over the weights, as fast as memory delivers them.

A program owns a few rows of the matrix. It asks for its whole first tile of weights before it waits for the kernel
before it (programmatic dependent launch), so weights stream while that kernel drains; activations come after the wait.
Tiles are [C, R, V]: V neighbouring columns (16 bytes) belong to one thread and are summed inside it, C runs over the
threads, so that a step ends without any exchange between them.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from scripts.kernels.matrix import GROUP, Matrix
from scripts.kernels.triton_launch import use_pdl

LOAD_BYTES = 16  # of one thread's load: the widest there is
BYTES = 128  # that a thread has on their way at once
PROGRAMS = 3  # a multiprocessor, at least, before a program takes more rows


class Config(NamedTuple):
    """How the work is cut: matrix rows and chunks of V columns of a tile, warps, row tiles of a program."""

    rows: int
    chunks: int
    warps: int
    tiles: int = 1


@triton.jit
def _tile(pointer, rows, column, WIDTH: tl.constexpr, C: tl.constexpr, V: tl.constexpr):
    """Tile [C, R, V] of a matrix WIDTH wide; zero beyond its edge. Read once, so it shall displace nothing."""
    chunks = column + tl.arange(0, C) * V
    offsets = chunks[:, None] + rows[None, :] * WIDTH
    pointers = pointer + offsets[:, :, None] + tl.arange(0, V)[None, None, :]
    if WIDTH % (C * V) == 0:
        return tl.load(pointers, eviction_policy="evict_first")
    return tl.load(pointers, mask=(chunks < WIDTH)[:, None, None], other=0.0, eviction_policy="evict_first")


@triton.jit
def _piece(pointer, column, WIDTH: tl.constexpr, C: tl.constexpr, V: tl.constexpr, PART: tl.constexpr):
    """The first PART elements of each chunk of V, in float32."""
    chunks = column + tl.arange(0, C) * V
    pointers = pointer + chunks[:, None] + tl.arange(0, PART)[None, :]
    if WIDTH % (C * V) == 0:
        return tl.load(pointers).to(tl.float32)
    return tl.load(pointers, mask=(chunks < WIDTH)[:, None], other=0.0).to(tl.float32)


@triton.jit
def _vector(pointer, column, WIDTH: tl.constexpr, C: tl.constexpr, V: tl.constexpr):
    """Tile [C, V] of a vector in float32; zero beyond its edge."""
    WIDEST: tl.constexpr = 128 // pointer.dtype.element_ty.primitive_bitwidth  # elements of a 16-byte load
    if V <= WIDEST:
        tile = _piece(pointer, column, WIDTH, C, V, V)
    else:
        # Two loads by one thread, where one tile would give a chunk to two threads and be moved afterwards.
        first = _piece(pointer, column, WIDTH, C, V, V // 2)
        second = _piece(pointer + V // 2, column, WIDTH, C, V, V // 2)
        tile = tl.reshape(tl.permute(tl.join(first, second), (0, 2, 1)), [C, V])
    return tile


@triton.jit
def _groups(pointer, rows, column, GROUPS: tl.constexpr, GROUP: tl.constexpr, C: tl.constexpr, V: tl.constexpr):
    """The scale (or minimum) of the group in which each chunk lies: [C, R]."""
    groups = tl.minimum((column + tl.arange(0, C) * V) // GROUP, GROUPS - 1)
    return tl.load(pointer + groups[:, None] + rows[None, :] * GROUPS)


@triton.jit
def _scaled(values, gain, factor, dtype: tl.constexpr):
    """The norm of values, rounded where LlamaRMSNorm rounds: after its factor, and after its weight."""
    return ((values * factor).to(dtype).to(tl.float32) * gain).to(dtype).to(tl.float32)


@triton.jit
def _floats(tile, FAST: tl.constexpr):
    """A tile in float32. An int8 becomes the last bits of 2^23, which costs half of a conversion."""
    if tile.dtype == tl.float8e4nv:
        return tile.to(tl.float16).to(tl.float32)  # exact, and what the hardware converts to
    if tile.dtype == tl.int8 and FAST:
        raised = tl.inline_asm_elementwise(
            """{
            .reg .b32 t;
            xor.b32 t, $4, 0x80808080;
            prmt.b32 $0, t, 0x4B000000, 0x7440;
            prmt.b32 $1, t, 0x4B000000, 0x7441;
            prmt.b32 $2, t, 0x4B000000, 0x7442;
            prmt.b32 $3, t, 0x4B000000, 0x7443;
            }""",
            "=r,=r,=r,=r,r",
            [tile],
            dtype=tl.float32,
            is_pure=True,
            pack=4,
        )
        return raised - 8388736.0  # 2^23 + 128
    return tile.to(tl.float32)


@triton.jit
def nibbles(tile, FAST: tl.constexpr):
    """The two int4 steps of each byte in float32, raised by 128 if FAST: as bits of 128.0 they need no conversion."""
    if FAST:
        return tl.inline_asm_elementwise(
            """{
            .reg .b32 l, h;
            and.b32 l, $8, 0x0F0F0F0F;
            shr.u32 h, $8, 4;
            and.b32 h, h, 0x0F0F0F0F;
            prmt.b32 $0, l, 0x43000000, 0x7044;
            prmt.b32 $1, l, 0x43000000, 0x7144;
            prmt.b32 $2, l, 0x43000000, 0x7244;
            prmt.b32 $3, l, 0x43000000, 0x7344;
            prmt.b32 $4, h, 0x43000000, 0x7044;
            prmt.b32 $5, h, 0x43000000, 0x7144;
            prmt.b32 $6, h, 0x43000000, 0x7244;
            prmt.b32 $7, h, 0x43000000, 0x7344;
            }""",
            "=r,=r,=r,=r,=r,=r,=r,=r,r",
            [tile],
            dtype=(tl.float32, tl.float32),
            is_pure=True,
            pack=4,
        )
    return (tile & 15).to(tl.float32), (tile >> 4).to(tl.float32)


@triton.jit
def _products(tile, x, FAST: tl.constexpr):
    """[C, R, V] times [C, V], summed over V: [C, R]."""
    return tl.sum(_floats(tile, FAST) * x[:, None, :], axis=2)


@triton.jit
def _int4_products(tile, low, high, low_scale, high_scale, low_minimum, high_minimum, FAST: tl.constexpr):
    """The same of two steps a byte; scale and minimum are applied to a chunk's sums, not to each weight."""
    RAISED: tl.constexpr = 128.0 if FAST else 0.0
    low_steps, high_steps = nibbles(tile, FAST)
    low_scale, high_scale = low_scale.to(tl.float32), high_scale.to(tl.float32)
    sums = tl.sum(low_steps * low[:, None, :], axis=2) * low_scale
    sums += tl.sum(high_steps * high[:, None, :], axis=2) * high_scale
    sums += tl.sum(low, axis=1)[:, None] * (low_minimum.to(tl.float32) - RAISED * low_scale)
    return sums + tl.sum(high, axis=1)[:, None] * (high_minimum.to(tl.float32) - RAISED * high_scale)


@triton.jit
def _gemv(
    x,
    weights,
    scales,
    minima,
    bias,
    gain,
    residual,
    y,
    N,
    eps,
    K: tl.constexpr,
    BN: tl.constexpr,
    C: tl.constexpr,
    V: tl.constexpr,
    INT4: tl.constexpr,
    SCALED: tl.constexpr,
    BIAS: tl.constexpr,
    NORM: tl.constexpr,
    RESIDUAL: tl.constexpr,
    GATED: tl.constexpr,
    GROUP: tl.constexpr,
    TILES: tl.constexpr,
    FAST: tl.constexpr,
    PDL: tl.constexpr,
):
    """TILES times BN of y's N elements; gated, each from two rows of weights [2N, K]."""
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
        tile = _tile(weights, rows, 0, WIDTH, C, V)
        if INT4:
            low_scale = _groups(scales, rows, 0, GROUPS, GROUP, C, V)
            high_scale = _groups(scales, rows, WIDTH, GROUPS, GROUP, C, V)
            low_minimum = _groups(minima, rows, 0, GROUPS, GROUP, C, V)
            high_minimum = _groups(minima, rows, WIDTH, GROUPS, GROUP, C, V)
        if SCALED:
            scale = tl.load(scales + rows)
        if BIAS:
            offset = tl.load(bias + rows).to(tl.float32)

        if part == 0:  # what all rows share, and the wait for whoever writes it
            if NORM:
                low_gain = _vector(gain, 0, WIDTH, C, V)
                if INT4:
                    high_gain = _vector(gain + WIDTH, 0, WIDTH, C, V)
            if PDL:
                gdc_launch_dependents()
                gdc_wait()
            first_low = _vector(x, 0, WIDTH, C, V)
            if INT4:
                first_high = _vector(x + WIDTH, 0, WIDTH, C, V)
            if NORM:
                squares = first_low * first_low
                if INT4:
                    squares += first_high * first_high
                for column in range(STEP, WIDTH, STEP):
                    later = _vector(x, column, WIDTH, C, V)
                    squares += later * later
                    if INT4:
                        later = _vector(x + WIDTH, column, WIDTH, C, V)
                        squares += later * later
                factor = tl.rsqrt(tl.sum(tl.sum(squares, axis=1), axis=0) / K + eps)
                first_low = _scaled(first_low, low_gain, factor, dtype)
                if INT4:
                    first_high = _scaled(first_high, high_gain, factor, dtype)
        if RESIDUAL:
            before = tl.load(residual + tl.minimum(outputs, N - 1)).to(tl.float32)

        low = first_low
        if INT4:
            high = first_high
        sums = tl.zeros([C, R], tl.float32)
        for column in range(STEP, WIDTH, STEP):  # the next tile is asked for before this one is used
            next_tile = _tile(weights, rows, column, WIDTH, C, V)
            next_low = _vector(x, column, WIDTH, C, V)
            if NORM:
                next_low = _scaled(next_low, _vector(gain, column, WIDTH, C, V), factor, dtype)
            if INT4:
                next_low_scale = _groups(scales, rows, column, GROUPS, GROUP, C, V)
                next_high_scale = _groups(scales, rows, WIDTH + column, GROUPS, GROUP, C, V)
                next_low_minimum = _groups(minima, rows, column, GROUPS, GROUP, C, V)
                next_high_minimum = _groups(minima, rows, WIDTH + column, GROUPS, GROUP, C, V)
                next_high = _vector(x + WIDTH, column, WIDTH, C, V)
                if NORM:
                    next_high = _scaled(next_high, _vector(gain + WIDTH, column, WIDTH, C, V), factor, dtype)
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
            result = gate / (1.0 + tl.exp(-gate)) * up
        if RESIDUAL:
            result += before
        tl.store(y + outputs, result.to(dtype), mask=outputs < N)


def config(kind: str, N: int, K: int, itemsize: int, count: int, gated: bool) -> Config:
    """How a product with a matrix [N, K] is cut on that many multiprocessors, by rule."""
    width = K // 2 if kind == "int4" else K
    each = vector(width, itemsize)
    row = triton.next_power_of_2(triton.cdiv(width, each))  # chunks in a row
    warps = 8 if row >= 1024 else max(1, min(4, row // 32))
    loads = BYTES // (each * itemsize)
    chunks = min(row, 16 * warps * loads)
    while chunks > 32 * warps and width % (chunks * each):  # shorter tiles waste less of the last one
        chunks //= 2
    if width > chunks * each:  # two tiles are on their way
        loads //= 2
    rows = max(1, loads * 32 * warps // chunks)
    while rows > 1 and rows * count * PROGRAMS > N:
        rows //= 2
    tiles = 2 if kind == "int4" and rows * count * PROGRAMS * 4 <= N else 1  # to norm the row less often
    return Config(max(rows, 2) if gated else rows, chunks, warps, tiles)


def vector(width: int, itemsize: int) -> int:
    """Elements of a thread's load: as many as 16 bytes hold and every row's start allows."""
    return math.gcd(width, LOAD_BYTES // itemsize)


@functools.cache
def processors(device: torch.device) -> int:
    """How many multiprocessors a GPU has; a CPU counts as one."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


def gemv(
    x: torch.Tensor,
    matrix: Matrix,
    *,
    norm=None,
    residual: torch.Tensor | None = None,
    gated: bool = False,
    cut: Config | None = None,
) -> torch.Tensor:
    """[1, K] -> [1, N], or gated [1, N / 2]; otherwise as ``reference.linear`` and ``reference.gated_linear``."""
    N, K = matrix.shape
    itemsize = matrix.data.element_size()
    cut = cut or config(matrix.kind, N, K, itemsize, processors(x.device), gated)
    outputs = N // 2 if gated else N
    block = cut.rows // 2 if gated else cut.rows
    y = x.new_empty(1, outputs)
    early = use_pdl(x.device)
    _gemv[(triton.cdiv(outputs, block * cut.tiles),)](
        x,
        matrix.data,
        matrix.scales,
        matrix.minima,
        matrix.bias,
        None if norm is None else norm.weight,
        residual,
        y,
        outputs,
        0.0 if norm is None else norm.eps,
        K=K,
        BN=block,
        C=cut.chunks,
        V=vector(matrix.data.shape[1], itemsize),
        INT4=matrix.kind == "int4",
        SCALED=matrix.kind in ("int8", "fp8"),
        BIAS=matrix.bias is not None,
        NORM=norm is not None,
        RESIDUAL=residual is not None,
        GATED=gated,
        GROUP=GROUP,
        TILES=cut.tiles,
        FAST=x.is_cuda,
        PDL=early,
        num_warps=cut.warps,
        launch_pdl=early,
    )
    return y
