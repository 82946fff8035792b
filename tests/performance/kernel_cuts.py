"""How a product is best cut on this GPU, for each matrix of a shape: the rule's cut against its neighbours and torch.

    python -m tests.performance.kernel_cuts
    python -m tests.performance.kernel_cuts --shapes llama-3.1-8b --kinds dense --rows 4,112 --output cuts.json

With one row of inputs the kernel of one row and that of a few rows are tried, with more the latter and torch's own
product (quantised weights are written out for it). From the rule's cut the search goes on to the best of those that
differ in one size, as long as that is faster. A product is recorded in a CUDA graph that goes through so many copies of
the matrix that none stays in the GPU's cache; the time is the least of several replays. What wins over the rule by more
than 3% is printed at the end as it belongs into scripts/kernels/tuned.py.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from scripts.foundation import files

COPIES_BYTES = 200 << 20  # of a matrix, four times a GPU's cache
REPLAYS = 5
PARTS = 3  # of a product's cuts, for as many processes
WORTH = 0.97  # of the rule's time

Choice = tuple[str, tuple[int, ...]]  # a kernel and its cut
Multiply = Callable[[Any], None]  # of one copy of the matrix


class Product(NamedTuple):
    """A matrix [N, K] of a model's layers, and what is fused with its product."""

    name: str
    N: int
    K: int
    gated: bool = False
    normed: bool = False
    added: bool = False


@dataclass
class Timed:
    """A product of so many rows with a stored matrix.

    Attributes:
        product: the matrix's name.
        kind: how it is stored.
        N: its rows.
        K: its columns.
        rows: rows of inputs.
        nbytes: bytes of the matrix.
        rule: what the rule chooses.
        microseconds: of each choice.
    """

    product: str
    kind: str
    N: int
    K: int
    rows: int
    nbytes: int
    rule: Choice
    microseconds: dict[Choice, float]

    def best(self) -> Choice:
        """The fastest choice; the rule's where none is worth naming."""
        fastest = min(self.microseconds, key=self.microseconds.get)
        return fastest if self.microseconds[fastest] < WORTH * self.microseconds[self.rule] else self.rule

    def line(self) -> str:
        """A row of the table."""
        rule, best = self.microseconds[self.rule], self.best()
        fast, which = "", ""
        if best != self.rule:
            fast, which = f"{self.microseconds[best]:.1f} ({rule / self.microseconds[best]:.2f}x)", shown(best)
        cells = (
            self.product, f"{self.N} x {self.K}", self.kind, self.rows, shown(self.rule), f"{rule:.1f}",
            f"{self.nbytes / rule / 1e6:.2f}", fast, which,
        )  # fmt: skip
        return f"| {' | '.join(map(str, cells))} |"

    def entry(self) -> str:
        """The line for scripts/kernels/tuned.py; empty where the rule stands."""
        from scripts.kernels.tuned import up_to

        best = self.best()
        return "" if best == self.rule else f"{(self.kind, self.N, self.K, up_to(self.rows))}: {best},"

    def document(self) -> dict[str, Any]:
        """All times as JSON."""
        times = [
            {"kernel": name, "cut": cut, "microseconds": time_} for (name, cut), time_ in self.microseconds.items()
        ]
        return asdict(self) | {"best": self.best(), "microseconds": times}


HEAD = "| product | N x K | kind | rows | rule | us | TB/s | best, us | which |\n" + "|---" * 9 + "|"


def shown(choice: Choice) -> str:
    """A kernel and its cut."""
    kernel, cut = choice
    return f"{kernel} {'/'.join(map(str, cut))}".strip()


def products(shape: str) -> list[Product]:
    """The four matrices of a layer, as the decode loop stores them."""
    from tests.performance.engine_rows.models import config_of, head_width

    config = config_of(shape)
    hidden, inner, width = config.hidden_size, config.intermediate_size, head_width(config)
    heads = config.num_attention_heads
    return [
        Product("qkv", (heads + 2 * config.num_key_value_heads) * width, hidden, normed=True),
        Product("out", hidden, heads * width, added=True),
        Product("gate_up", 2 * inner, hidden, gated=True, normed=True),
        Product("down", hidden, inner, added=True),
    ]


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


class Bench:
    """A product of so many rows on the GPU: the matrix, what is multiplied, and the kernels that can."""

    def __init__(self, product: Product, kind: str, rows: int) -> None:
        import torch

        from scripts.kernels.matrix import quantize
        from scripts.kernels.reference import Norm
        from scripts.kernels.triton_linear import processors

        device, dtype = torch.device("cuda"), torch.bfloat16
        self.product, self.kind, self.rows = product, kind, rows
        N, K = product.N, product.K
        self.matrix = quantize(torch.randn(N, K, device=device, dtype=dtype) / K**0.5, kind)
        self.x = torch.randn(rows, K, device=device, dtype=dtype)
        self.norm = Norm(torch.ones(K, device=device, dtype=dtype), 1e-5) if product.normed else None
        self.added = torch.randn(rows, N, device=device, dtype=dtype) if product.added else None
        self.kernels = kernels(product, self.matrix, self.x, self.norm, self.added, processors(device))

    def by_torch(self, matrix: Any) -> None:
        """The product that needs no kernel of the project's."""
        from scripts.kernels import triton_ops

        x = self.x if self.norm is None else triton_ops.rms_norm(self.x, self.norm)
        y = triton_ops._large(x, matrix, self.added)
        if self.product.gated:
            triton_ops.gate(y)

    def measured(self, until: float) -> Timed:
        """Climb with each kernel, and time torch's product."""
        from scripts.kernels import tuned
        from scripts.kernels.triton_ops import SMALL

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
            if self.rows > SMALL[self.kind] and own is not None:
                rule = (tuned.TORCH, ())
        N, K = self.product.N, self.product.K
        return Timed(self.product.name, self.kind, N, K, self.rows, self.matrix.nbytes, rule, microseconds)


def compile_ahead(jobs: list[tuple[Product, str, int]]) -> None:
    """Compile the rule's cuts and those near them in processes of their own; Triton keeps what they make on disk."""
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
        for cut in [kernel.rule, *kernel.near(kernel.rule)][part::PARTS]:
            with contextlib.suppress(Exception):  # whoever times it says what is wrong
                kernel.by(cut)(bench.matrix)
    torch.cuda.synchronize()


def copied(matrix: Any) -> Any:
    """The same numbers somewhere else."""
    parts = {name: getattr(matrix, name) for name in ("data", "scales", "minima")}
    return replace(matrix, **{name: part.clone() for name, part in parts.items() if part is not None})


def replayed(work: Callable[[], None]) -> float:
    """Seconds of the work, recorded; the least of the replays."""
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


def wanted(shapes: list[str], kinds: list[str], rows: list[int]) -> Iterator[tuple[Product, str, int]]:
    """What is measured, in order; a matrix that two shapes share once."""
    seen = set()
    for count in rows:
        for shape in shapes:
            for kind in kinds:
                for product in products(shape):
                    if (product, kind, count) not in seen:
                        seen.add((product, kind, count))
                        yield product, kind, count


def main() -> None:
    """Measure and print line by line, then what belongs into scripts/kernels/tuned.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", type=listed, default="llama-3.2-1b,llama-3.1-8b", help="of config/architectures")
    parser.add_argument("--kinds", type=listed, default="dense,int8,int4,fp8", help="how weights are stored")
    parser.add_argument("--rows", type=lambda text: [int(part) for part in text.split(",")], default="1,4,112")
    parser.add_argument("--seconds", type=float, default=600, help="begin nothing new after so long")
    parser.add_argument("--output", type=Path, help="every time, as JSON")
    arguments = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        parser.error("kernels are cut for a GPU; there is none here")
    until = time.monotonic() + arguments.seconds
    jobs = list(wanted(arguments.shapes, arguments.kinds, arguments.rows))
    compile_ahead(jobs)
    found = measure(jobs, until)
    entries = sorted({each.entry() for each in found} - {""})
    print("\n".join(["", f'"{torch.cuda.get_device_name()}": {{', *(f"    {entry}" for entry in entries), "},"]))
    if arguments.output:
        times = [each.document() for each in found]
        files.write_json(arguments.output, {"gpu": torch.cuda.get_device_name(), "times": times})


def measure(jobs: list[tuple[Product, str, int]], until: float) -> list[Timed]:
    """Measure one product after another, and print each."""
    found = []
    print(HEAD, flush=True)
    for product, kind, rows in jobs:
        if time.monotonic() > until:
            print("the time is over")
            break
        try:
            found.append(Bench(product, kind, rows).measured(until))
            print(found[-1].line(), flush=True)
        except RuntimeError as error:
            print(f"{product.name}, {kind}, {rows} rows: {error}")
    return found


def listed(text: str) -> list[str]:
    """Names, separated by commas."""
    return [part.strip() for part in text.split(",")]


if __name__ == "__main__":
    main()
