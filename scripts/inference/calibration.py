"""Measures the machine's peak rates in the run's own process: memory read and copy bandwidth, matmul FLOP/s.

A data sheet's peak may be that of another board, clock or memory configuration. A copy counts bytes read and written
(McCalpin's STREAM, 1995); an n x n x n product is 2 n^3 operations. Decoding mostly reads (weights and cache), so its
ceiling is the bandwidth of a reduction over a large tensor, which can exceed a copy's, as switching between reads and
writes costs time.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

CPU_BUFFER_BYTES = 64 << 20  # one half is copied to the other; the first touch of the pages takes longest
CPU_WIDTH = 768
CPU_READ_BYTES = (64 << 20, 1 << 30)  # at least and at most; between them twice the last-level cache
CACHES = Path("/sys/devices/system/cpu")
GPU_COPY_BYTES = 1 << 30
GPU_READ_BYTES = 2 << 30
GPU_WIDTH = 8192
_CPU_BUDGET_S = 0.02  # of repetitions of one kind
_PROBE_WIDTH = 128
_READ_WIDTH = 4096


def calibrate(device: torch.device, dtype: torch.dtype, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """Measure once with the process's own threads; all memory is freed afterwards.

    Args:
        device: what to measure.
        dtype: of the product.
        before: what this found earlier in the process; on a CPU memory is read again as was fastest then.

    Returns:
        ``read_bytes_per_s`` over ``read_buffer_bytes``, and ``read_by``, the fastest way to read on a CPU;
        ``copy_bytes_per_s`` (bytes read plus bytes written); ``matmul_flops_per_s`` and ``matmul_dtype``.
    """
    import torch

    with torch.inference_mode():
        if device.type == "cuda":
            (read, size), copied, multiplied = _on_gpu(device, dtype)
            way = None
        else:
            read, size, way = _read_on_cpu((before or {}).get("read_by"))
            copied, multiplied = _copy_on_cpu(), _multiply_on_cpu(dtype)
    return {
        "read_bytes_per_s": read,
        "read_buffer_bytes": size,
        "read_by": way,
        "copy_bytes_per_s": copied,
        "matmul_flops_per_s": multiplied,
        "matmul_dtype": str(dtype).removeprefix("torch."),
    }


def _read_on_cpu(by: str | None = None) -> tuple[float, int, str]:
    """Bytes read a second, the buffer's size, which exceeds the caches of the usable cores, and the way to read."""
    least, most = CPU_READ_BYTES
    size = min(most, max(least, 2 * last_level_cache()))
    with _mapping(size) as memory:
        rate, way = _read_all(memory, by)
    return rate, size, way


def _read_all(memory: mmap.mmap, by: str | None) -> tuple[float, str]:
    import torch

    torch.frombuffer(memory, dtype=torch.uint8).fill_(1)
    numbers = torch.frombuffer(memory, dtype=torch.float32)
    rows, vector = numbers.view(-1, _READ_WIDTH), torch.ones(_READ_WIDTH)
    # Which of them saturates the memory depends on the processor.
    ways = {"sum": numbers.sum, "maximum": numbers.amax, "product": lambda: torch.mv(rows, vector)}
    chosen = {by: ways[by]} if by in ways else ways
    # Filled, the buffer has its pages, and no cache holds it: a first reading is as fast as a second.
    seconds = {name: _best(way, _CPU_BUDGET_S, least=1) for name, way in chosen.items()}
    fastest = min(seconds, key=seconds.__getitem__)
    return len(memory) / seconds[fastest], fastest


def last_level_cache() -> int:
    """Total bytes of the last-level caches of the usable cores; 0 if unknown."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    caches: dict[str, tuple[int, int]] = {}
    for core in cores:
        for cache in (CACHES / f"cpu{core}" / "cache").glob("index*"):
            with contextlib.suppress(OSError, ValueError, KeyError):
                size = (cache / "size").read_text().strip()
                level, shared = (int((cache / "level").read_text()), (cache / "shared_cpu_list").read_text())
                caches[f"{level} {shared}"] = level, int(size[:-1]) * {"K": 1 << 10, "M": 1 << 20}[size[-1]]
    last = max((level for level, _ in caches.values()), default=0)
    return sum(size for level, size in caches.values() if level == last)


def _copy_on_cpu() -> float:
    # mmap, since an allocator may keep freed memory in the resident set that is measured later.
    with _mapping(CPU_BUFFER_BYTES) as memory:
        return _copy_half(memory)


def _copy_half(memory: mmap.mmap) -> float:
    """Bytes moved a second from the lower half of the memory to the upper."""
    import torch

    half = len(memory) // 2
    source = torch.frombuffer(memory, dtype=torch.uint8, count=half)
    target = torch.frombuffer(memory, dtype=torch.uint8, offset=half)
    source.fill_(1)  # untouched pages would all map to the zero page
    target.copy_(source)
    return 2 * half / _best(lambda: target.copy_(source), _CPU_BUDGET_S)


def _mapping(size: int) -> mmap.mmap:
    memory = mmap.mmap(-1, size)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)  # fewer faults at the first touch; a kernel without them ignores it
    return memory


def _multiply_on_cpu(dtype: torch.dtype) -> float:
    import torch

    def measure(width: int, budget: float) -> float:
        a, b = torch.ones(width, width, dtype=dtype), torch.ones(width, width, dtype=dtype)
        out = torch.mm(a, b)
        return _best(lambda: torch.mm(a, b, out=out), budget)

    # Some processors have no fast path for a 16-bit type: a product that would take seconds is measured smaller.
    small = measure(_PROBE_WIDTH, _CPU_BUDGET_S / 10)
    affordable = int(_PROBE_WIDTH * math.cbrt(_CPU_BUDGET_S / 2 / small))
    if affordable <= _PROBE_WIDTH:
        return 2 * _PROBE_WIDTH**3 / small
    width = min(CPU_WIDTH, affordable // 64 * 64)
    return max(2 * width**3 / measure(width, _CPU_BUDGET_S), 2 * _PROBE_WIDTH**3 / small)


def _best(action: Callable[[], Any], budget: float, least: int = 2) -> float:
    """Seconds of the fastest repetition; ``least`` at least, six at most, within the budget."""
    fastest, spent = math.inf, 0.0
    for repetition in range(1, 7):
        began = time.perf_counter()
        action()
        seconds = time.perf_counter() - began
        fastest, spent = min(fastest, seconds), spent + seconds
        if repetition >= least and spent + fastest > budget:
            break
    return fastest


def _on_gpu(device: torch.device, dtype: torch.dtype) -> tuple[tuple[float, int], float, float]:
    import torch

    allowance = torch.cuda.mem_get_info(device)[0] // 10
    read = _read_on_gpu(min(GPU_READ_BYTES, allowance), device)
    copied = _copy_on_gpu(min(GPU_COPY_BYTES, allowance // 2), device)
    width = min(GPU_WIDTH, math.isqrt(allowance // (3 * dtype.itemsize)) // 128 * 128)
    multiplied = _multiply_on_gpu(width, device, dtype)
    # cuBLAS would keep its workspace, which would count as the run's memory.
    clear = getattr(torch._C, "_cuda_clearCublasWorkspaces", None)
    if clear is not None:
        clear()
    torch.cuda.empty_cache()
    return read, copied, multiplied


def _read_on_gpu(size: int, device: torch.device) -> tuple[float, int]:
    """Bytes read a second by the faster of two reductions, and the buffer's size."""
    import torch

    numbers = torch.ones(size // 4, dtype=torch.float32, device=device)
    seconds = min(_best_on_gpu(way, device) for way in (numbers.sum, numbers.amax))
    return numbers.nbytes / seconds, numbers.nbytes


def _copy_on_gpu(size: int, device: torch.device) -> float:
    import torch

    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / _best_on_gpu(lambda: target.copy_(source), device)


def _multiply_on_gpu(width: int, device: torch.device, dtype: torch.dtype) -> float:
    import torch

    # Random, since equal numbers draw less power and so allow higher clocks than a model's weights.
    a = torch.randn(width, width, device=device).to(dtype)
    b = torch.randn(width, width, device=device).to(dtype)
    out = torch.mm(a, b)
    return 2 * width**3 / _best_on_gpu(lambda: torch.mm(a, b, out=out), device)


def _best_on_gpu(action: Callable[[], Any], device: torch.device) -> float:
    """Seconds of the fastest of five repetitions after a warm-up, by CUDA events."""
    import torch

    with torch.cuda.device(device):
        action()
        events = []
        for _ in range(5):
            began, ended = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            began.record()
            action()
            ended.record()
            events.append((began, ended))
        torch.cuda.synchronize(device)
        return min(began.elapsed_time(ended) for began, ended in events) / 1e3
