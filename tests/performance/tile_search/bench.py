"""Timing a product on the GPU, and compiling its kernels beforehand."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

from tests.performance.tile_search.products import Product
from tests.performance.tile_search.search import Multiply, climbed, kernels
from tests.performance.tile_search.table import Choice, Timed

COPIES_BYTES = 200 << 20  # of a matrix, four times a GPU's cache
REPLAYS = 5
PARTS = 3  # of a product's tile configurations, for as many processes


class Bench:
    """A product of so many rows on the GPU: the matrix, what is multiplied, and the kernels that can."""

    def __init__(self, product: Product, kind: str, rows: int) -> None:
        import torch

        from scripts.kernels.matrix import quantize
        from scripts.kernels.reference import Norm
        from scripts.kernels.triton_launch import multiprocessors

        device, dtype = torch.device("cuda"), torch.bfloat16
        self.product, self.kind, self.rows = product, kind, rows
        N, K = product.N, product.K
        self.matrix = quantize(torch.randn(N, K, device=device, dtype=dtype) / K**0.5, kind)
        self.x = torch.randn(rows, K, device=device, dtype=dtype)
        self.norm = Norm(torch.ones(K, device=device, dtype=dtype), 1e-5) if product.normed else None
        self.added = torch.randn(rows, N, device=device, dtype=dtype) if product.added else None
        self.kernels = kernels(product, self.matrix, self.x, self.norm, self.added, multiprocessors(device))

    def by_torch(self, matrix: Any) -> None:
        """The product that needs no kernel of the project's."""
        from scripts.kernels import triton_convert, triton_norm, triton_products

        x = self.x if self.norm is None else triton_norm.rms_norm(self.x, self.norm)
        y = triton_products.by_torch(x, matrix, self.added)
        if self.product.gated:
            triton_convert.gate(y)

    def measured(self, until: float) -> Timed:
        """Climb with each kernel, and time torch's product."""
        from scripts.kernels import tuned
        from scripts.kernels.triton_products import SKINNY_ROWS

        copies = [self.matrix]
        copies += [copied(self.matrix) for _ in range(min(96, COPIES_BYTES // self.matrix.nbytes))]

        def took(multiply: Multiply) -> float | None:
            def through() -> None:
                for matrix in copies:
                    multiply(matrix)

            try:
                return 1e6 * replayed(through) / len(copies)
            except Exception as error:  # too large a tile for this GPU, say
                print(f"{self.product.name}, {self.kind}: {' '.join(str(error).split())[:120]}")
                return None

        microseconds: dict[Choice, float] = {}
        for kernel in self.kernels:
            microseconds |= climbed(kernel, took, until)
        rule = (self.kernels[0].name, tuple(self.kernels[0].rule))
        if self.rows > 1:
            own = took(self.by_torch)
            microseconds |= {} if own is None else {(tuned.TORCH, ()): own}
            if self.rows > SKINNY_ROWS[self.kind] and own is not None:
                rule = (tuned.TORCH, ())
        N, K = self.product.N, self.product.K
        return Timed(self.product.name, self.kind, N, K, self.rows, self.matrix.nbytes, rule, microseconds)


def compile_ahead(jobs: list[tuple[Product, str, int]]) -> None:
    """Compile the rule's configurations and their neighbours in processes of their own, into Triton's cache on disk."""
    workers = max(1, min(14, (os.cpu_count() or 1) - 2))
    parts = [(*job, part) for job in jobs for part in range(PARTS)]
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for number, _ in enumerate(pool.map(_compile, *zip(*parts, strict=True)), start=1):
            print(f"compiling: {number} of {len(parts)}", end="\r", file=sys.stderr)
    print(file=sys.stderr)


def _compile(product: Product, kind: str, rows: int, part: int) -> None:
    import torch

    bench = Bench(product, kind, rows)
    for kernel in bench.kernels:
        for tile in [kernel.rule, *kernel.near(kernel.rule)][part::PARTS]:
            with contextlib.suppress(Exception):  # whoever times it says what is wrong
                kernel.by(tile)(bench.matrix)
    torch.cuda.synchronize()


def copied(matrix: Any) -> Any:
    """The same numbers somewhere else."""
    parts = {name: getattr(matrix, name) for name in ("data", "scales", "minima")}
    return replace(matrix, **{name: part.clone() for name, part in parts.items() if part is not None})


def replayed(work: Callable[[], None]) -> float:
    """Seconds of the work as a CUDA graph; the least of the replays."""
    import torch

    work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    graph.replay()
    seconds = []
    for _ in range(REPLAYS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        seconds.append(begin.elapsed_time(end) / 1e3)
    return min(seconds)
