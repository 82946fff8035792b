"""Autotuned tile configurations per GPU, where measured to be faster than the rule's.

Made by ``python -m tests.performance.kernel_tiles``; on other GPUs, and for other matrices, the rules hold.
"""

from __future__ import annotations

import functools

import torch

GEMV, SKINNY, TORCH = "gemv", "skinny_gemm", "torch"

# By kind, N, K and padded rows: the kernel, and the sizes of its tile configuration; none for torch's own product.
Key = tuple[str, int, int, int]
Choice = tuple[str, tuple[int, ...]]
PRODUCTS: dict[str, dict[Key, Choice]] = {
    "NVIDIA H100 80GB HBM3": {
        ("dense", 2048, 2048, 16): ("skinny_gemm", (64, 128, 4, 4, 4)),
        ("dense", 2048, 8192, 16): ("skinny_gemm", (64, 128, 4, 4, 4)),
        ("dense", 2048, 8192, 128): ("skinny_gemm", (64, 128, 4, 4, 4)),
        ("dense", 3072, 2048, 16): ("skinny_gemm", (64, 128, 4, 5, 2)),
        ("dense", 4096, 4096, 16): ("skinny_gemm", (64, 128, 4, 5, 2)),
        ("dense", 4096, 14336, 16): ("skinny_gemm", (64, 128, 4, 5, 4)),
        ("dense", 6144, 4096, 16): ("skinny_gemm", (64, 128, 4, 6, 1)),
        ("dense", 16384, 2048, 16): ("skinny_gemm", (64, 128, 4, 3, 1)),
        ("dense", 16384, 2048, 128): ("skinny_gemm", (64, 64, 4, 4, 1)),
        ("dense", 28672, 4096, 16): ("skinny_gemm", (64, 128, 4, 4, 1)),
        ("int4", 2048, 2048, 1): ("gemv", (2, 64, 2, 1)),
        ("int4", 2048, 2048, 128): ("skinny_gemm", (64, 64, 4, 4, 4)),
        ("int4", 2048, 8192, 1): ("gemv", (4, 128, 4, 1)),
        ("int4", 2048, 8192, 128): ("skinny_gemm", (64, 64, 4, 4, 4)),
        ("int4", 3072, 2048, 1): ("gemv", (4, 64, 1, 1)),
        ("int4", 3072, 2048, 128): ("torch", ()),
        ("int4", 4096, 4096, 1): ("gemv", (8, 128, 2, 1)),
        ("int4", 4096, 4096, 128): ("skinny_gemm", (64, 64, 4, 4, 2)),
        ("int4", 4096, 14336, 1): ("gemv", (4, 256, 2, 1)),
        ("int4", 4096, 14336, 128): ("skinny_gemm", (64, 64, 4, 4, 2)),
        ("int4", 6144, 4096, 128): ("torch", ()),
        ("int4", 16384, 2048, 1): ("gemv", (8, 64, 1, 2)),
        ("int4", 16384, 2048, 128): ("skinny_gemm", (64, 64, 4, 4, 1)),
        ("int4", 28672, 4096, 1): ("gemv", (8, 128, 4, 4)),
        ("int4", 28672, 4096, 128): ("skinny_gemm", (64, 64, 4, 3, 1)),
        ("int8", 2048, 2048, 1): ("gemv", (2, 128, 4, 1)),
        ("int8", 2048, 2048, 128): ("skinny_gemm", (64, 64, 4, 4, 4)),
        ("int8", 2048, 8192, 1): ("gemv", (2, 512, 4, 2)),
        ("int8", 2048, 8192, 128): ("skinny_gemm", (64, 64, 4, 4, 4)),
        ("int8", 3072, 2048, 128): ("skinny_gemm", (64, 64, 4, 4, 4)),
        ("int8", 16384, 2048, 1): ("gemv", (16, 64, 4, 1)),
        ("int8", 16384, 2048, 128): ("skinny_gemm", (64, 64, 4, 4, 1)),
    },
}


def choice(x: torch.Tensor, kind: str, N: int, K: int) -> Choice | None:
    """The kernel for x [rows, K] and a matrix [N, K]; None where the rule holds."""
    # Measured in 16 bits: tiles of wider numbers might not fit a multiprocessor.
    return PRODUCTS.get(_gpu(x.device), {}).get((kind, N, K, padded_rows(len(x)))) if x.itemsize == 2 else None


def padded_rows(rows: int) -> int:
    """Rows as a kernel pads them: 1, or a power of two from 16."""
    return 1 if rows == 1 else max(16, 1 << (rows - 1).bit_length())


@functools.cache
def _gpu(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else ""
