"""Greedy decoding, the argmax over the logits, as Triton kernels.

For one row the head is read once, at the memory's speed, and its logits never leave the chip: each program keeps the
largest logit of the rows that it has read, and a second, tiny kernel reduces those. For more rows the product is
cuBLAS's, and the logits are read once more.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch.nn import functional
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from scripts.kernels.matrix import Matrix
from scripts.kernels.parts import Norm
from scripts.kernels.triton_launch import multiprocessors, use_pdl
from scripts.kernels.triton_norm import rms_norm, rms_normalized
from scripts.kernels.triton_products import linear

LOGITS_PER_PROGRAM = 8192  # of a row, by one program


@dataclass(frozen=True)
class ScanConfig:
    """How the head is read: a tile's bytes, warps of a program, programs per multiprocessor."""

    tile_bytes: int = 65536
    warps: int = 8
    programs: int = 1
    cache: str = ""


SCAN = ScanConfig()


@triton.jit
def _tile(weight, tile, N: tl.constexpr, K: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr, CACHE: tl.constexpr):
    rows = tile * ROWS + tl.arange(0, ROWS)
    columns = tl.arange(0, BLOCK)
    mask = (rows < N)[:, None]
    if BLOCK != K:
        mask = mask & (columns < K)[None, :]
    at = weight + rows.to(tl.int64)[:, None] * K + columns[None, :]
    # Read once a step: it must not drive what is read again out of the caches.
    return tl.load(at, mask=mask, other=0.0, eviction_policy="evict_first", cache_modifier=CACHE)


@triton.jit
def _gemv_argmax(
    x, norm_weight, weight, values, indices, eps,
    N: tl.constexpr, K: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr, PROGRAMS: tl.constexpr,
    CACHE: tl.constexpr, OFFSET: tl.constexpr, WAIT: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0)
    columns = tl.arange(0, BLOCK)
    scales = tl.load(norm_weight + columns, mask=columns < K, other=0.0)
    w = _tile(weight, program, N, K, ROWS, BLOCK, CACHE)
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    y = rms_normalized(tl.load(x + columns, mask=columns < K, other=0.0), scales, eps, K, OFFSET).to(tl.float32)
    best = tl.full([ROWS], float("-inf"), tl.float32)
    at = tl.full([ROWS], N - 1, tl.int32)
    for tile in range(program, tl.cdiv(N, ROWS), PROGRAMS):
        following = _tile(weight, tile + PROGRAMS, N, K, ROWS, BLOCK, CACHE)  # loaded while this one is used
        # Rounded as a stored logit would be, so that the same ones are equal whatever the number of rows.
        logits = tl.sum(w.to(tl.float32) * y[None, :], 1).to(scales.dtype).to(tl.float32)
        rows = tile * ROWS + tl.arange(0, ROWS)
        better = (logits > best) & (rows < N)
        best = tl.where(better, logits, best)
        at = tl.where(better, rows, at)
        w = following
    top = tl.max(best, 0)
    tl.store(values + program, top)
    tl.store(indices + program, tl.min(tl.where(best == top, at, 2147483647), 0))


@triton.jit
def _row_argmax_kernel(
    logits, values, indices, N: tl.constexpr, PART: tl.constexpr, PARTS: tl.constexpr, BLOCK: tl.constexpr,
    WAIT: tl.constexpr,
):  # fmt: skip
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    part = tl.program_id(0)
    row = tl.program_id(1)
    offsets = tl.arange(0, BLOCK)
    logits += row.to(tl.int64) * N
    best = tl.full([BLOCK], float("-inf"), tl.float32)
    at = tl.full([BLOCK], N - 1, tl.int32)
    end = tl.minimum((part + 1) * PART, N)
    for first in range(part * PART, end, BLOCK):
        columns = first + offsets
        found = tl.load(logits + columns, mask=columns < end, other=float("-inf"), eviction_policy="evict_first")
        found = found.to(tl.float32)
        better = found > best
        best = tl.where(better, found, best)
        at = tl.where(better, columns, at)
    top = tl.max(best, 0)
    tl.store(values + row * PARTS + part, top)
    tl.store(indices + row * PARTS + part, tl.min(tl.where(best == top, at, 2147483647), 0))


@triton.jit
def _best_part(values, indices, PARTS: tl.constexpr, BLOCK: tl.constexpr):
    """The largest of [PARTS] values and the smallest index that has it."""
    part = tl.arange(0, BLOCK)
    found = tl.load(values + part, mask=part < PARTS, other=float("-inf"))
    at = tl.load(indices + part, mask=part < PARTS, other=2147483647)
    top = tl.max(found, 0)
    return top, tl.min(tl.where(found == top, at, 2147483647), 0)


@triton.jit
def _reduce(values, indices, best, tokens, PARTS: tl.constexpr, BLOCK: tl.constexpr, WAIT: tl.constexpr):
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    row = tl.program_id(0)
    top, token = _best_part(values + row * PARTS, indices + row * PARTS, PARTS, BLOCK)
    tl.store(best + row, top)
    tl.store(tokens + row, token.to(tl.int64))


@dataclass
class PartialArgmax:
    """The best logits of parts of the vocabulary, float32 [T, parts], and their tokens, int32 [T, parts]."""

    values: torch.Tensor
    indices: torch.Tensor

    @classmethod
    def empty(cls, rows: int, parts: int, device: torch.device) -> PartialArgmax:
        """Room for so many."""
        return cls(
            torch.empty(rows, parts, dtype=torch.float32, device=device),
            torch.empty(rows, parts, dtype=torch.int32, device=device),
        )


def gemv_argmax(x: torch.Tensor, head: Matrix, norm: Norm, scan: ScanConfig | None = None) -> PartialArgmax:
    """One row, [1, K], and a dense head without a bias: the best logit of each program's share of the head."""
    scan = scan or SCAN
    (n, k), weight = head.shape, head.data
    block = triton.next_power_of_2(k)
    rows = max(1, min(64, scan.tile_bytes // (block * weight.element_size())))
    tiles = triton.cdiv(n, rows)
    programs = min(tiles, scan.programs * multiprocessors(x.device)) if scan.programs else tiles
    parts = PartialArgmax.empty(1, programs, x.device)
    wait = use_pdl(x.device)
    _gemv_argmax[(programs,)](
        x, norm.weight, weight, parts.values, parts.indices, norm.eps, n, k, rows, block, programs, scan.cache,
        norm.offset, wait, num_warps=scan.warps, launch_pdl=wait,
    )  # fmt: skip
    return parts


def _row_argmax(logits: torch.Tensor) -> PartialArgmax:
    """The best of each part of a row of logits, [T, N]."""
    count, n = logits.shape
    parts = max(1, min(16, 264 // count, n // LOGITS_PER_PROGRAM))
    block = min(LOGITS_PER_PROGRAM, triton.next_power_of_2(n))
    share = triton.cdiv(triton.cdiv(n, parts), block) * block
    parts = triton.cdiv(n, share)
    best = PartialArgmax.empty(count, parts, logits.device)
    wait = use_pdl(logits.device)
    _row_argmax_kernel[(parts, count)](
        logits, best.values, best.indices, n, share, parts, block, wait, num_warps=8, launch_pdl=wait
    )
    return best


def _reduced(parts: PartialArgmax) -> tuple[torch.Tensor, torch.Tensor]:
    rows, count = parts.values.shape
    best = torch.empty(rows, dtype=torch.float32, device=parts.values.device)
    tokens = torch.empty(rows, dtype=torch.int64, device=parts.values.device)
    wait = use_pdl(best.device)
    block = triton.next_power_of_2(count)
    _reduce[(rows,)](parts.values, parts.indices, best, tokens, count, block, wait, num_warps=4, launch_pdl=wait)
    return best, tokens


def partial_argmax(x: torch.Tensor, head: Matrix, norm: Norm) -> PartialArgmax:
    """The argmax of each part of the vocabulary, of logits that are rounded to x's dtype."""
    if head.kind == "dense" and head.bias is None:
        return (
            gemv_argmax(x, head, norm) if len(x) == 1 else _row_argmax(functional.linear(rms_norm(x, norm), head.data))
        )
    return _row_argmax(linear(x, head, norm=norm))


def max_and_argmax(x: torch.Tensor, head: Matrix, norm: Norm) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest logit of each row and its token, the first where equal: [T, K] -> float32 [T], int64 [T]."""
    return _reduced(partial_argmax(x, head, norm))


def argmax(x: torch.Tensor, head: Matrix, norm: Norm) -> torch.Tensor:
    """Greedy decoding: the tokens of ``max_and_argmax``, int64 [T]."""
    return max_and_argmax(x, head, norm)[1]
