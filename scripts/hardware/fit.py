"""Which GPU is large enough for a technique."""

from __future__ import annotations

from scripts.hardware.datasheet import Device, devices

CONTEXT_BYTES = 500_000_000  # of a CUDA context with its libraries, outside the allocator
HEADROOM = 0.05  # share of a GPU that is left free: fragmentation, a longer prompt


def needed_bytes(added: float, process: float | None = None) -> float:
    """Bytes that one GPU must have: the whole process if measured, else the technique's bytes plus a CUDA context."""
    return added + CONTEXT_BYTES if process is None else process


def smallest(needed: float, table: list[Device] | None = None) -> Device | None:
    """The GPU of the table with the least memory that holds so many bytes with headroom; None where none does."""
    candidates = [
        device for device in (devices() if table is None else table) if device.memory_bytes * (1 - HEADROOM) >= needed
    ]
    return min(candidates, key=lambda device: (device.memory_bytes, device.label), default=None)
