"""Compile the Triton kernels for a GPU that is not there: what is launched is compiled and not run.

    python -m tests.support.compiled_kernels [CAPABILITY]

Calls the operations on a CPU with the shapes of a small model, PDL and the fast conversions on; prints the name of each
kernel and how many of its variants were compiled. Ends with the compiler's error where one can't be.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections import Counter
from typing import Any
from unittest import mock

os.environ.pop("TRITON_INTERPRET", None)  # read on import

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from scripts.kernels import (
    triton_convert,
    triton_gemv,
    triton_launch,
    triton_ops,
    triton_packed,
    triton_pushed,
    triton_sums,
)  # fmt: skip
from scripts.kernels.matrix import Matrix, quantize
from scripts.kernels.parts import GELU_TANH, Heads, Norm, Rope
from scripts.kernels.quantised_cache import DTYPES

TYPES = {
    torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16", torch.int64: "i64", torch.int32: "i32",
    torch.int8: "i8", torch.uint8: "u8", torch.float8_e4m3fn: "fp8e4nv", torch.bool: "i1",
}  # fmt: skip
OPTIONS = {"num_warps", "num_stages", "launch_pdl", "num_ctas", "maxnreg"}
HIDDEN, WIDE, TOKENS, POSITIONS = 512, 1024, 300, 64
HEADS = Heads(8, 2, 64)


class Compiler:
    """Takes the place of a launch.

    Attributes:
        variants: compiled, by the kernel's name.
    """

    def __init__(self, capability: int) -> None:
        self.target = GPUTarget("cuda", capability, 32)
        self.variants: Counter[str] = Counter()
        self._known: set[str] = set()

    def launch(self, kernel: JITFunction, *args: Any, grid: Any, warmup: bool, **given: Any) -> None:
        """Compile the kernel for these arguments."""
        options = {key: given.pop(key) for key in OPTIONS & given.keys()}
        bound = inspect.signature(kernel.fn).bind(*args, **given).arguments
        signature, constants, aligned = {}, {}, {}
        for place, parameter in enumerate(kernel.params):
            value = bound[parameter.name]
            kind = None if parameter.is_constexpr else _kind(value)
            signature[parameter.name] = kind or "constexpr"
            if kind is None:
                constants[parameter.name] = True if parameter.name in ("PDL", "WAIT", "FAST") else value
            elif isinstance(value, torch.Tensor) or (isinstance(value, int) and value % 16 == 0):
                aligned[(place,)] = [["tt.divisibility", 16]]
        name = kernel.fn.__name__
        key = f"{name} {signature} {constants} {options}"
        if key not in self._known:
            self._known.add(key)
            source = ASTSource(kernel, signature=signature, constexprs=constants, attrs=aligned)
            triton.compile(source, target=self.target, options=options | {"launch_pdl": "launch_pdl" in options})
            self.variants[name] += 1


def _kind(value: Any) -> str | None:
    """The type of an argument as a signature names it; None of one that is compiled in."""
    if isinstance(value, torch.Tensor):
        return "*" + TYPES[value.dtype]
    if isinstance(value, float):
        return "fp32"
    return "i32" if isinstance(value, int) and not isinstance(value, bool) and value != 1 else None


def products(dtype: torch.dtype) -> None:
    """Products of one row and of a few, with all that is fused into them, and those that are summed over ranks."""
    norm = Norm(torch.ones(HIDDEN, dtype=dtype), 1e-5)
    offset = Norm(norm.weight, 1e-5, offset=True)
    pushed = triton_pushed.Pushed(
        triton_pushed.counted(torch.device("cpu")), torch.zeros(2, dtype=torch.int64), rank=0, size=2
    )
    for kind in ("dense", "int8", "int4", "fp8"):
        weight, pairs = torch.randn(WIDE, HIDDEN, dtype=dtype), torch.randn(2 * WIDE, HIDDEN, dtype=dtype)
        matrix = Matrix("dense", weight) if kind == "dense" else quantize(weight, kind)
        gated = Matrix("dense", pairs) if kind == "dense" else quantize(pairs, kind)
        for rows in (1, 8):
            x, residual = torch.randn(rows, HIDDEN, dtype=dtype), torch.randn(rows, WIDE, dtype=dtype)
            triton_ops.linear(x, matrix, norm=norm)
            triton_ops.linear(x, matrix, residual=residual)
            triton_ops.gated_linear(x, gated, norm=offset, activation=GELU_TANH)
        row = torch.randn(1, HIDDEN, dtype=dtype)
        for residual in (None, torch.randn(1, WIDE, dtype=dtype)):
            triton_gemv.gemv(row, matrix, residual=residual, pushed=pushed)
        if kind != "dense":
            triton_convert.dequantize(matrix, dtype)
    triton_convert.quantize_rows(torch.randn(8, HIDDEN, dtype=dtype))
    triton_convert.gate(torch.randn(8, 2 * WIDE, dtype=dtype))
    for summed in (dtype, torch.float32):
        x, counts = torch.randn(1, HIDDEN, dtype=summed), torch.zeros(triton_sums.CHUNKS, dtype=torch.int32)
        triton_sums.sum_ranks(x, counts, pushed.rooms, 0, 2)


def attention(dtype: torch.dtype, stored: torch.dtype) -> None:
    """Attention of prompts and of new tokens, over a cache of some dtype."""
    rope = Rope(torch.ones(POSITIONS, HEADS.width), torch.ones(POSITIONS, HEADS.width), HEADS.width)
    shape = (4, HEADS.key_value, POSITIONS, HEADS.width)
    keys, values = torch.zeros(shape, dtype=stored), torch.zeros(shape, dtype=stored)
    scales = None if stored == dtype else (torch.ones(shape[:3]), torch.ones(shape[:3]))
    width = (HEADS.query + 2 * HEADS.key_value) * HEADS.width
    for new in (1, 4):
        positions = torch.zeros(4, dtype=torch.int32)
        triton_ops.decode_attention(
            torch.zeros(4 * new, width, dtype=dtype), keys, values, positions, HEADS, rope, scales=scales
        )
    triton_ops.prefill_attention(torch.zeros(8, width, dtype=dtype), keys, values, 0, HEADS, rope, 4, scales=scales)
    triton_packed.packed_attention(
        torch.zeros(6, width, dtype=dtype), keys, values, torch.arange(6), torch.zeros(6, dtype=torch.int64), HEADS,
        rope, scales=scales,
    )  # fmt: skip


def choice(dtype: torch.dtype) -> None:
    """Norms, the choice of a token and the noise of drawing."""
    norm = Norm(torch.ones(HIDDEN, dtype=dtype), 1e-5)
    head = Matrix("dense", torch.randn(TOKENS, HIDDEN, dtype=dtype))
    for rows in (1, 4):
        x = torch.randn(rows, HIDDEN, dtype=dtype)
        triton_ops.rms_norm(x, norm, x)
        triton_ops.max_and_argmax(x, head, norm)
    heads = Norm(torch.ones(HEADS.width, dtype=dtype), 1e-5)
    qkv = torch.zeros(4, (HEADS.query + 2 * HEADS.key_value) * HEADS.width, dtype=dtype)
    triton_ops.norm_heads(qkv, HEADS, heads, heads)
    triton_ops.uniforms(torch.zeros(2, dtype=torch.int64), torch.zeros(2, dtype=torch.int32), TOKENS)


def main() -> None:
    """Compile for the capability named, Hopper's by default."""
    compiler = Compiler(int(sys.argv[1]) if sys.argv[1:] else 90)
    many = mock.patch.object(triton_gemv, "multiprocessors", return_value=132)
    launches = mock.patch.object(
        JITFunction, "run", lambda kernel, *args, **given: compiler.launch(kernel, *args, **given)
    )
    with many, launches, mock.patch.object(triton_launch, "allowed", True):
        products(torch.bfloat16)
        choice(torch.bfloat16)
        for stored in (torch.bfloat16, *DTYPES.values()):
            attention(torch.bfloat16, stored)
    for name, count in sorted(compiler.variants.items()):
        print(name, count)


if __name__ == "__main__":
    main()
