"""How much memory a process holds: on a GPU the allocator's high-water mark, on a CPU the resident set."""

from __future__ import annotations

import contextlib
import gc
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


class MemoryMeter:
    """Current and peak bytes of this process on one device; the peak can be reset, so that no earlier one is kept.

    On a GPU: ``torch.cuda.max_memory_allocated``. On a CPU: the kernel's VmHWM, reset through ``clear_refs``; where the
    kernel doesn't allow that, ``peak_is_exact`` is False and the peak is that of the process's whole life.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.method = "cuda_allocator" if device.type == "cuda" else "resident_set"
        self.peak_is_exact = True

    def current(self) -> int:
        """Bytes held now."""
        if self.device.type == "cuda":
            import torch

            return torch.cuda.memory_allocated(self.device)
        return _resident("VmRSS")

    def peak(self) -> int:
        """The most bytes held at once since the last reset."""
        if self.device.type == "cuda":
            import torch

            return torch.cuda.max_memory_allocated(self.device)
        return _resident("VmHWM")

    def total(self) -> int | None:
        """The device's own memory in bytes; None on a CPU, whose memory is the machine's."""
        if self.device.type != "cuda":
            return None
        import torch

        return int(torch.cuda.get_device_properties(self.device).total_memory)

    def reset_peak(self) -> None:
        """Start a new high-water mark at what is held now."""
        gc.collect()
        if self.device.type == "cuda":
            import torch

            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
            return
        try:
            _RESET.write_text("5")
        except OSError:
            self.peak_is_exact = False


def _resident(field: str) -> int:
    """A figure of /proc/self/status in bytes; elsewhere than on Linux the life-time peak that the system keeps."""
    with contextlib.suppress(OSError):
        match = re.search(rf"^{field}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
        if match:
            return int(match.group(1)) * 1024
    import resource
    import sys

    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def module_bytes(*modules: torch.nn.Module) -> int:
    """Bytes that the modules' weights occupy on this process, quantisation scales included, shared memory once."""
    storages: dict[int, int] = {}
    for module in modules:
        for tensor in _tensors(module):
            local = tensor.to_local() if hasattr(tensor, "to_local") else tensor
            storage = local.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def _tensors(module: torch.nn.Module) -> Iterator[torch.Tensor]:
    yield from module.parameters()
    yield from module.buffers()
    for part in module.modules():
        # bitsandbytes keeps scales beside the parameters, and after the first use int8 weights too.
        for holder in (part, getattr(part, "weight", None), getattr(part, "state", None)):
            for name in ("CB", "SCB"):
                value = getattr(holder, name, None)
                if _is_tensor(value):
                    yield value
        yield from _quantisation_state(getattr(getattr(part, "weight", None), "quant_state", None))


def _quantisation_state(state: Any) -> Iterator[torch.Tensor]:
    if state is None:
        return
    for name in ("absmax", "code", "offset"):
        value = getattr(state, name, None)
        if _is_tensor(value):
            yield value
    yield from _quantisation_state(getattr(state, "state2", None))


def _is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.numel() > 0
