"""The tile configurations of a kernel, and the way from the rule's to a better one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.performance.tile_search.products import Product
from tests.performance.tile_search.table import Choice

Multiply = Callable[[Any], None]  # of one copy of the matrix


def gemv_tiles(tile: Any, kind: str, K: int, itemsize: int, gated: bool) -> list[Any]:
    """Tile configurations of the GEMV kernel that differ in one size from the given one, and that a GPU can hold."""
    from scripts.kernels.triton_gemv import load_width

    width = K // 2 if kind == "int4" else K
    each = load_width(width, itemsize)
    whole = 1 << (-(-width // each) - 1).bit_length()  # chunks of a row

    def holds(tile: Any) -> bool:
        # Two tiles of weights have to fit a thread's registers beside the sums.
        words = 2 * tile.rows * tile.chunks * each * itemsize // 4 // (32 * tile.warps)
        return (
            tile.rows >= (2 if gated else 1)
            and min(32, whole) <= tile.chunks <= whole
            and tile.warps <= 16
            and words <= 128
        )

    return [near for near in _neighbours(tile, doubled=("rows", "chunks", "warps", "tiles")) if holds(near)]


def skinny_tiles(tile: Any, kind: str, K: int) -> list[Any]:
    """The same for the skinny GEMM kernel."""
    from scripts.kernels.matrix import GROUP

    def holds(tile: Any) -> bool:
        columns = (GROUP,) if kind == "int4" else (GROUP // 2, GROUP, 2 * GROUP)
        return (
            16 <= tile.rows <= 128
            and tile.columns in columns
            and tile.warps <= 8
            and tile.splits <= max(1, min(8, K // 512))
        )

    doubled = _neighbours(tile, doubled=("rows", "columns", "warps", "splits"))
    staged = [tile._replace(stages=stages) for stages in (tile.stages - 1, tile.stages + 1) if 2 <= stages <= 6]
    return [near for near in [*doubled, *staged] if holds(near)]


def _neighbours(tile: Any, doubled: tuple[str, ...]) -> list[Any]:
    """With one of those sizes halved or doubled."""
    sizes = [(name, getattr(tile, name)) for name in doubled]
    found = [tile._replace(**{name: size // 2}) for name, size in sizes if size > 1]
    return found + [tile._replace(**{name: 2 * size}) for name, size in sizes]


@dataclass
class Kernel:
    """A kernel for the product: the rule's tile configuration, the neighbours of one, and the product with one."""

    name: str
    rule: Any
    near: Callable[[Any], list[Any]]
    by: Callable[[Any], Multiply]


def kernels(product: Product, matrix: Any, x: Any, norm: Any, added: Any, count: int) -> list[Kernel]:
    """What can multiply x [rows, K] with a matrix stored like that one, on that many multiprocessors."""
    from scripts.kernels import triton_gemv, triton_norm, triton_skinny, tuned

    kind, (N, K), itemsize = matrix.kind, matrix.shape, matrix.data.element_size()
    found = []
    if len(x) == 1:

        def one_row(tile: Any) -> Multiply:
            return lambda m: triton_gemv.gemv(x, m, norm=norm, residual=added, gated=product.gated, tile=tile)

        rule = triton_gemv.rule_tile(kind, N, K, itemsize, count, product.gated)
        near = partial(gemv_tiles, kind=kind, K=K, itemsize=itemsize, gated=product.gated)
        found.append(Kernel(tuned.GEMV, rule, near, one_row))

    def few_rows(tile: Any) -> Multiply:
        def multiply(m: Any) -> None:
            given = x if norm is None else triton_norm.rms_norm(x, norm)
            triton_skinny.skinny_gemm(given, m, residual=added, gated=product.gated, tile=tile)

        return multiply

    rule = triton_skinny.rule_tile(kind, N, K, len(x), count, x.element_size())
    found.append(Kernel(tuned.SKINNY, rule, partial(skinny_tiles, kind=kind, K=K), few_rows))
    return found


def climbed(kernel: Kernel, took: Callable[[Multiply], float | None], until: float) -> dict[Choice, float]:
    """Microseconds of the rule's tile configuration, of its neighbours, of those of the best, and so on uphill.

    Args:
        kernel: whose tile configurations.
        took: microseconds of a product; None where the GPU can't run it.
        until: when no further one is tried, on ``time.monotonic``'s clock.

    Raises:
        RuntimeError: the GPU can't run the rule's.
    """
    times: dict[Any, float | None] = {kernel.rule: took(kernel.by(kernel.rule))}
    if times[kernel.rule] is None:
        raise RuntimeError(f"{kernel.name} does not run with the rule's tile configuration, {kernel.rule}")
    best, at = None, kernel.rule
    while at != best:
        best = at
        for tile in kernel.near(best):
            if tile not in times and time.monotonic() < until:
                times[tile] = took(kernel.by(tile))
        at = min((tile for tile, time_ in times.items() if time_ is not None), key=times.get)
    return {(kernel.name, tuple(tile)): time_ for tile, time_ in times.items() if time_ is not None}
