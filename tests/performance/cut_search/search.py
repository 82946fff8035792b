"""The cuts of a kernel, and the way from the rule's to a better one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.performance.cut_search.products import Product
from tests.performance.cut_search.table import Choice

Multiply = Callable[[Any], None]  # of one copy of the matrix


def row_cuts(cut: Any, kind: str, K: int, itemsize: int, gated: bool) -> list[Any]:
    """Cuts of the kernel of one row that differ in one size from the given one, which a GPU can hold."""
    from scripts.kernels.triton_linear import vector

    width = K // 2 if kind == "int4" else K
    each = vector(width, itemsize)
    whole = 1 << (-(-width // each) - 1).bit_length()  # chunks of a row

    def holds(cut: Any) -> bool:
        # Two tiles of weights have to fit a thread's registers beside the sums.
        words = 2 * cut.rows * cut.chunks * each * itemsize // 4 // (32 * cut.warps)
        return (
            cut.rows >= (2 if gated else 1)
            and min(32, whole) <= cut.chunks <= whole
            and cut.warps <= 16
            and words <= 128
        )

    return [near for near in _neighbours(cut, doubled=("rows", "chunks", "warps", "tiles")) if holds(near)]


def few_cuts(cut: Any, kind: str, K: int) -> list[Any]:
    """The same for the kernel of a few rows."""
    from scripts.kernels.matrix import GROUP

    def holds(cut: Any) -> bool:
        columns = (GROUP,) if kind == "int4" else (GROUP // 2, GROUP, 2 * GROUP)
        return (
            16 <= cut.rows <= 128
            and cut.columns in columns
            and cut.warps <= 8
            and cut.splits <= max(1, min(8, K // 512))
        )

    doubled = _neighbours(cut, doubled=("rows", "columns", "warps", "splits"))
    staged = [cut._replace(stages=stages) for stages in (cut.stages - 1, cut.stages + 1) if 2 <= stages <= 6]
    return [near for near in [*doubled, *staged] if holds(near)]


def _neighbours(cut: Any, doubled: tuple[str, ...]) -> list[Any]:
    """With one of those sizes halved or doubled."""
    sizes = [(name, getattr(cut, name)) for name in doubled]
    found = [cut._replace(**{name: size // 2}) for name, size in sizes if size > 1]
    return found + [cut._replace(**{name: 2 * size}) for name, size in sizes]


@dataclass
class Kernel:
    """A kernel that makes the product: the rule's cut, what is near a cut, and the product by a cut."""

    name: str
    rule: Any
    near: Callable[[Any], list[Any]]
    by: Callable[[Any], Multiply]


def kernels(product: Product, matrix: Any, x: Any, norm: Any, added: Any, count: int) -> list[Kernel]:
    """What can multiply x [rows, K] with a matrix stored like that one, on that many multiprocessors."""
    from scripts.kernels import triton_linear, triton_ops, triton_small

    kind, (N, K), itemsize = matrix.kind, matrix.shape, matrix.data.element_size()
    found = []
    if len(x) == 1:

        def one_row(cut: Any) -> Multiply:
            return lambda m: triton_linear.gemv(x, m, norm=norm, residual=added, gated=product.gated, cut=cut)

        rule = triton_linear.config(kind, N, K, itemsize, count, product.gated)
        near = partial(row_cuts, kind=kind, K=K, itemsize=itemsize, gated=product.gated)
        found.append(Kernel("triton_linear", rule, near, one_row))

    def few_rows(cut: Any) -> Multiply:
        def multiply(m: Any) -> None:
            given = x if norm is None else triton_ops.rms_norm(x, norm)
            triton_small.small(given, m, residual=added, gated=product.gated, cut=cut)

        return multiply

    rule = triton_small.cut_for(kind, N, K, len(x), count)
    found.append(Kernel("triton_small", rule, partial(few_cuts, kind=kind, K=K), few_rows))
    return found


def climbed(kernel: Kernel, took: Callable[[Multiply], float | None], until: float) -> dict[Choice, float]:
    """Microseconds of the rule's cut, of those near it, of those near the best of them, and so on uphill.

    Args:
        kernel: whose cuts.
        took: microseconds of a product; None where the GPU can't run it.
        until: when no further cut is tried, on ``time.monotonic``'s clock.

    Raises:
        RuntimeError: the GPU can't run the rule's.
    """
    times: dict[Any, float | None] = {kernel.rule: took(kernel.by(kernel.rule))}
    if times[kernel.rule] is None:
        raise RuntimeError(f"{kernel.name} does not run with the rule's cut, {kernel.rule}")
    best, at = None, kernel.rule
    while at != best:
        best = at
        for cut in kernel.near(best):
            if cut not in times and time.monotonic() < until:
                times[cut] = took(kernel.by(cut))
        at = min((cut for cut, time_ in times.items() if time_ is not None), key=times.get)
    return {(kernel.name, tuple(cut)): time_ for cut, time_ in times.items() if time_ is not None}
