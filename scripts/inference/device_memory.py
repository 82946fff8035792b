"""GPU memory of a process: as a whole by NVML, and in the pools of CUDA graphs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from scripts.inference.nvml import Session

if TYPE_CHECKING:
    import torch

PER_PROCESS, BOARD = "nvml_process", "nvml_board"


class ProcessMemory:
    """GPU memory of a whole process: context, libraries, communication buffers and the allocator's reserve.

    Create it before the process touches the GPU. If NVML does not list the process by its own id, as in a container,
    the only new process is assumed to be this one; else the board's memory less that at the start is used.

    Args:
        gpu_uuid: the GPU; None where there is none to read.

    Attributes:
        method: ``nvml_process`` or ``nvml_board``; None where nothing is read.
        reason: why nothing is read, or why it is the board's, a clause without a full stop; else None.
    """

    def __init__(self, gpu_uuid: str | None) -> None:
        self._session = Session([gpu_uuid] if gpu_uuid else [])
        self._handle = self._session.handles[0][1] if self._session.handles else None
        self.reason = self._session.reason
        self.method: str | None = None
        self._pid: int | None = None
        self._before = self._processes()
        self._used_before = self._used()
        if self._handle is not None and self._used_before is None:
            self._handle, self.reason = None, "NVML does not say how much of the GPU's memory is in use"

    def find(self) -> None:
        """Identify this process among NVML's; call it on the GPU, before the reference process is there."""
        if self._handle is None:
            return
        now = self._processes()
        joined = {pid for pid, used in now.items() if used is not None and pid not in self._before}
        own = os.getpid()
        self._pid = own if own in joined else next(iter(joined)) if len(joined) == 1 else None
        self.method = BOARD if self._pid is None else PER_PROCESS
        if self._pid is None:
            self.reason = "NVML does not list this process, so it is the board's memory in use less that at the start"

    def read(self) -> int | None:
        """Bytes now; None where they can't be read."""
        if self._handle is None:
            return None
        if self._pid is not None:
            return self._processes().get(self._pid)
        used = self._used()
        return None if used is None else max(0, used - self._used_before)

    def _processes(self) -> dict[int, int | None]:
        """Bytes of each process on the GPU; None where the driver reports no size."""
        if self._handle is None:
            return {}
        listed = self._session.query("nvmlDeviceGetComputeRunningProcesses", self._handle) or []
        return {process.pid: getattr(process, "usedGpuMemory", None) for process in listed}

    def _used(self) -> int | None:
        if self._handle is None:
            return None
        info = self._session.query("nvmlDeviceGetMemoryInfo", self._handle)
        return None if info is None else int(info.used)

    def close(self) -> None:
        """End the session."""
        self._session.close()
        self._handle = None


def graph_pools(device: torch.device) -> tuple[int, int]:
    """Bytes reserved by the pools of CUDA graphs, and bytes of them that live tensors occupy.

    A graph's memory comes from its pool; replaying the graph calls no allocator.
    """
    import torch

    index = device.index if device.index is not None else torch.cuda.current_device()
    pools = [
        segment
        for segment in torch.cuda.memory_snapshot()
        if segment["device"] == index and tuple(segment["segment_pool_id"]) != (0, 0)
    ]
    return sum(pool["total_size"] for pool in pools), sum(pool["allocated_size"] for pool in pools)
