"""Autotuned tile configurations per GPU, where measured to be faster than the rule's.

Made by ``python -m tests.performance.kernel_cuts``; on other GPUs, and for other matrices, the rules hold.
"""

from __future__ import annotations

import functools

import torch

ROW, FEW, TORCH = "triton_linear", "triton_small", "torch"

# By kind, N, K and rows, the latter up to a power of two: the kernel and its cut, which torch's own product has not.
Key = tuple[str, int, int, int]
Choice = tuple[str, tuple[int, ...]]
PRODUCTS: dict[str, dict[Key, Choice]] = {
    "NVIDIA H100 80GB HBM3": {
        ("dense", 2048, 2048, 16): ("triton_small", (64, 128, 4, 4, 4)),
        ("dense", 2048, 8192, 16): ("triton_small", (64, 128, 4, 4, 4)),
        ("dense", 2048, 8192, 128): ("triton_small", (64, 128, 4, 4, 4)),
        ("dense", 3072, 2048, 16): ("triton_small", (64, 128, 4, 5, 2)),
        ("dense", 4096, 4096, 16): ("triton_small", (64, 128, 4, 5, 2)),
        ("dense", 4096, 14336, 16): ("triton_small", (64, 128, 4, 5, 4)),
        ("dense", 6144, 4096, 16): ("triton_small", (64, 128, 4, 6, 1)),
        ("dense", 16384, 2048, 16): ("triton_small", (64, 128, 4, 3, 1)),
        ("dense", 16384, 2048, 128): ("triton_small", (64, 64, 4, 4, 1)),
        ("dense", 28672, 4096, 16): ("triton_small", (64, 128, 4, 4, 1)),
        ("int4", 2048, 2048, 1): ("triton_linear", (2, 64, 2, 1)),
        ("int4", 2048, 2048, 128): ("triton_small", (64, 64, 4, 4, 4)),
        ("int4", 2048, 8192, 1): ("triton_linear", (4, 128, 4, 1)),
        ("int4", 2048, 8192, 128): ("triton_small", (64, 64, 4, 4, 4)),
        ("int4", 3072, 2048, 1): ("triton_linear", (4, 64, 1, 1)),
        ("int4", 3072, 2048, 128): ("torch", ()),
        ("int4", 4096, 4096, 1): ("triton_linear", (8, 128, 2, 1)),
        ("int4", 4096, 4096, 128): ("triton_small", (64, 64, 4, 4, 2)),
        ("int4", 4096, 14336, 1): ("triton_linear", (4, 256, 2, 1)),
        ("int4", 4096, 14336, 128): ("triton_small", (64, 64, 4, 4, 2)),
        ("int4", 6144, 4096, 128): ("torch", ()),
        ("int4", 16384, 2048, 1): ("triton_linear", (8, 64, 1, 2)),
        ("int4", 16384, 2048, 128): ("triton_small", (64, 64, 4, 4, 1)),
        ("int4", 28672, 4096, 1): ("triton_linear", (8, 128, 4, 4)),
        ("int4", 28672, 4096, 128): ("triton_small", (64, 64, 4, 3, 1)),
        ("int8", 2048, 2048, 1): ("triton_linear", (2, 128, 4, 1)),
        ("int8", 2048, 2048, 128): ("triton_small", (64, 64, 4, 4, 4)),
        ("int8", 2048, 8192, 1): ("triton_linear", (2, 512, 4, 2)),
        ("int8", 2048, 8192, 128): ("triton_small", (64, 64, 4, 4, 4)),
        ("int8", 3072, 2048, 128): ("triton_small", (64, 64, 4, 4, 4)),
        ("int8", 16384, 2048, 1): ("triton_linear", (16, 64, 4, 1)),
        ("int8", 16384, 2048, 128): ("triton_small", (64, 64, 4, 4, 1)),
    },
}


def choice(x: torch.Tensor, kind: str, N: int, K: int) -> Choice | None:
    """What to multiply x [rows, K] with a matrix [N, K] with; None where the rule holds."""
    # Measured in 16 bits: tiles of wider numbers might not fit a multiprocessor.
    return PRODUCTS.get(_gpu(x.device), {}).get((kind, N, K, up_to(len(x)))) if x.itemsize == 2 else None


def up_to(rows: int) -> int:
    """Rows as a kernel pads them: 1, or a power of two from 16."""
    return 1 if rows == 1 else max(16, 1 << (rows - 1).bit_length())


@functools.cache
def _gpu(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else ""
