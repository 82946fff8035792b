"""Counts compilations and CUDA graph captures, which must not happen while batches are timed.

Counted process-wide: graphs compiled by torch.compile, kernels that Triton compiles or loads from its cache, and CUDA
graph captures.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from scripts.runtime.errors import EvidenceError

KINDS = {"torch_compile": "graphs by torch.compile", "triton": "kernels by Triton", "cuda_graphs": "CUDA graphs"}
Counts = dict[str, int]


@contextlib.contextmanager
def watched() -> Iterator[Counts]:
    """Count compilations and captures in the block by kind (see ``KINDS``), in all threads."""
    found = dict.fromkeys(KINDS, 0)
    before = compiled_graphs()

    def count(kind: str) -> None:
        found[kind] += 1

    with _kernels(lambda: count("triton")), _recordings(lambda: count("cuda_graphs")):
        try:
            yield found
        finally:
            found["torch_compile"] = compiled_graphs() - before


def refuse(found: dict[str, Counts]) -> None:
    """Refuse times that include a compilation.

    Args:
        found: what was counted while each mode was timed.

    Raises:
        EvidenceError: anything was.
    """
    for mode, counts in found.items():
        made = [f"{KINDS[kind]} ({count})" for kind, count in counts.items() if count]
        if made:
            raise EvidenceError(
                f"Compiled or recorded while the {mode} mode was timed: {', '.join(made)}. Its times are not those of "
                "generating alone."
            )


def compiled_graphs() -> int:
    """How many graphs torch has compiled in this process."""
    if "torch._dynamo" not in sys.modules:
        return 0
    from torch._dynamo.utils import counters

    return counters["stats"]["unique_graphs"]


@contextlib.contextmanager
def _kernels(count: Callable[[], None]) -> Iterator[None]:
    """Hook Triton's callback, called for each compiled kernel specialisation, cached ones included."""
    holder, name = _triton_hook()
    if holder is None:
        yield
        return
    present = getattr(holder, name)

    def hook(*arguments: Any, **options: Any) -> Any:
        count()
        return present(*arguments, **options) if present else None

    setattr(holder, name, hook)
    try:
        yield
    finally:
        setattr(holder, name, present)


def _triton_hook() -> tuple[Any, str]:
    """The object and attribute of the hook; None if Triton was never imported."""
    triton = sys.modules.get("triton")
    if triton is None:
        return None, ""
    knobs = getattr(triton, "knobs", None)
    if hasattr(getattr(knobs, "runtime", None), "jit_post_compile_hook"):
        return knobs.runtime, "jit_post_compile_hook"
    function = triton.JITFunction  # before 3.4
    return (function, "compiled_hook") if hasattr(function, "compiled_hook") else (None, "")


@contextlib.contextmanager
def _recordings(count: Callable[[], None]) -> Iterator[None]:
    """Hook ``CUDAGraph.capture_begin``, which torch.compile, transformers and this project all call."""
    import torch

    graph = torch.cuda.CUDAGraph
    begin = getattr(graph, "capture_begin", None)
    if begin is None:
        yield
        return

    def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        count()
        return begin(self, *arguments, **options)

    graph.capture_begin = counted
    try:
        yield
    finally:
        graph.capture_begin = begin
