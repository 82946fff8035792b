"""Memory that a technique adds to its process after the state before loading the model, by its parts.

On a GPU: the allocator's reserve, pools of CUDA graphs included. On a CPU: resident pages. Libraries and CUDA context
are not included; the whole process is reported separately.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

from scripts.inference import device_memory, resident
from scripts.runtime.tensors import tensor_places
from scripts.techniques.registry import companion_settings, used_facets

if TYPE_CHECKING:
    import torch


class MemoryMeter:
    """Current and peak bytes of this process on one device; the peak can be reset.

    On a GPU: ``torch.cuda.max_memory_reserved``, since replayed graphs do not call the allocator. On a
    CPU: the kernel's VmHWM, reset through ``clear_refs``; where the kernel doesn't allow that, ``peak_is_exact`` is
    False and the peak is that of the process's lifetime.

    Args:
        device: the device.
        whole: the process's share of the GPU by NVML, made before the process touched it; none on a CPU.
    """

    def __init__(self, device: torch.device, whole: device_memory.ProcessMemory | None = None) -> None:
        self.device = device
        self.on_gpu = device.type == "cuda"
        self.method = "cuda_allocator" if self.on_gpu else "resident_set"
        self.peak_is_exact = True
        self._whole = whole or device_memory.ProcessMemory(None)
        self._facts: dict[str, Any] = {}

    def current(self) -> int:
        """Bytes held now."""
        if self.on_gpu:
            import torch

            return torch.cuda.memory_reserved(self.device)
        return resident.field("VmRSS") or resident.lifetime_peak()

    def peak(self) -> int:
        """The most bytes held at once since the last reset."""
        if self.on_gpu:
            import torch

            return torch.cuda.max_memory_reserved(self.device)
        return resident.field("VmHWM") or resident.lifetime_peak()

    def total(self) -> int | None:
        """The device's own memory in bytes; None on a CPU, whose memory is the machine's."""
        if not self.on_gpu:
            return None
        import torch

        return int(torch.cuda.get_device_properties(self.device).total_memory)

    def reset_peak(self) -> None:
        """Release freed memory and reset the peak to the current use; pools of CUDA graphs stay reserved."""
        gc.collect()
        if self.on_gpu:
            import torch

            torch.cuda.synchronize(self.device)
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
            return
        resident.trim_heap()
        self.peak_is_exact = resident.reset_peak() and self.peak_is_exact

    def start(self) -> None:
        """Read the state before the model is loaded."""
        self.reset_peak()
        self._whole.find()
        self._modules = set(sys.modules)
        self._facts["before_load_bytes"] = self.current()
        if self.on_gpu:
            whole = self._whole.read()
            self._facts |= {"before_load_allocated_bytes": self._allocated(), "before_load_process_bytes": whole}
        else:
            self._files, self._private = resident.field("RssFile"), _private()

    def loaded(self) -> None:
        """Read the memory that loading added."""
        self._facts["load_peak_bytes"] = max(0, self.peak() - self._facts["before_load_bytes"])
        self._facts["after_load_bytes"] = self.current()
        if self.on_gpu:
            self._facts["after_load_allocated_bytes"] = self._allocated()

    def read_whole_process(self) -> None:
        """Read the whole process; call it after warm-up and before the reference process is on the GPU."""
        self._settled = (self._whole.read(), self.current()) if self.on_gpu else None

    def read_peak(self, *modules: torch.nn.Module) -> None:
        """Read the peak since the last reset.

        Args:
            modules: the models, whose weights may be in mapped files.
        """
        late = {name.partition(".")[0] for name in set(sys.modules) - self._modules}
        self._facts["imported_late"] = sorted(late - set(sys.stdlib_module_names) - {"scripts"})
        self._facts |= self._gpu_peak() if self.on_gpu else self._cpu_peak(tensor_places(modules))

    def facts(self) -> dict[str, Any]:
        """All readings in bytes, as in run.json; None for what this machine does not report.

        ``peak_bytes`` and ``load_peak_bytes`` are relative to ``before_load_bytes``; ``process_peak_bytes`` is
        the whole process at its peak. Of a GPU: ``allocated_peak_bytes`` by live tensors, ``reserved_peak_bytes`` by
        the allocator for them, ``graph_pool_bytes`` of the reserved ones by graphs, ``graph_pool_used_bytes`` of these
        by live tensors. Of a CPU: ``library_bytes`` of libraries that were touched after ``before_load_bytes`` was
        read, ``stale_file_bytes`` of a mapped checkpoint's pages that no weight lies in any more,
        ``unread_weight_bytes`` of weights on file that are not resident, ``held_bytes`` that stay when nothing is
        computed. ``imported_late`` names packages of which modules were imported after ``before_load_bytes`` was read,
        whose memory the technique is charged with.
        """
        read = {
            "process_method": self._whole.method if self.on_gpu else self.method,
            "process_reason": self._whole.reason if self.on_gpu else None,
        }
        return {"device_total_bytes": self.total()} | self._facts | read

    def _allocated(self) -> int:
        import torch

        return torch.cuda.memory_allocated(self.device)

    def _gpu_peak(self) -> dict[str, Any]:
        import torch

        reserved, pools = self.peak(), device_memory.graph_pools(self.device)
        whole, settled = self._whole.read(), self._settled
        if self._whole.method == device_memory.BOARD and settled is not None and settled[0] is not None:
            # The reference may be on the GPU by now; this process has since grown only through its allocator.
            whole = settled[0] + reserved - settled[1]
        return {
            "peak_bytes": max(0, reserved - self._facts["before_load_bytes"]),
            "allocated_peak_bytes": torch.cuda.max_memory_allocated(self.device),
            "reserved_peak_bytes": reserved,
            "process_peak_bytes": whole,
            "graph_pool_bytes": pools[0],
            "graph_pool_used_bytes": pools[1],
        }

    def _cpu_peak(self, tensors: list[tuple[int, int]]) -> dict[str, Any]:
        """The kernel knows no peak of private pages, but file pages stay once they are read."""
        peak, files = self.peak(), resident.field("RssFile")
        unread = {"library_bytes": None, "stale_file_bytes": None, "unread_weight_bytes": None, "held_bytes": None}
        if files is None or self._files is None or self._private is None:
            return {"peak_bytes": max(0, peak - self._facts["before_load_bytes"]), "process_peak_bytes": peak} | unread
        gc.collect()
        resident.trim_heap()
        held = _private()  # before the list of mappings is read, which takes memory too
        found = resident.on_file(tensors, resident.mapped_files())
        weights = max(0, found.tensor_bytes - found.private_bytes)  # the copied ones are private pages
        added = max(0, peak - files - self._private + weights)
        return {
            "peak_bytes": added,
            "process_peak_bytes": peak,
            "library_bytes": max(0, files - self._files - found.file_bytes),
            "stale_file_bytes": max(0, found.file_bytes - weights),
            "unread_weight_bytes": max(0, weights - found.file_bytes),
            "held_bytes": min(added, max(0, held - self._private + weights)),
        }


def _private() -> int | None:
    own, shared = resident.field("RssAnon"), resident.field("RssShmem")
    return None if own is None or shared is None else own + shared


def import_libraries(directory: str, settings: dict[str, Any]) -> None:
    """Import the libraries that loading will use, so that they are not counted as the technique's memory.

    Failed imports are reported by the loading.
    """
    import contextlib
    import importlib

    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig

    with contextlib.suppress(OSError, ValueError, KeyError):
        MODEL_FOR_CAUSAL_LM_MAPPING[type(AutoConfig.from_pretrained(directory, local_files_only=True))]
    for name in libraries(settings):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def libraries(settings: dict[str, Any]) -> list[str]:
    """Modules that a technique's facets import when they act, and those of its draft's."""
    facets = used_facets(settings) + used_facets(companion_settings(settings))
    return [name for facet, value in facets for name in facet.libraries(value)]
