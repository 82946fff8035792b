"""All-reduce over the ranks of a process group, fast enough for two in every layer of a decode step.

On GPUs, small tensors go through symmetric memory (``torch.distributed._symmetric_memory``): each rank writes its part
into its peers' memory over NVLink, in a kernel of the project's own that waits for one trip (``triton_sums``), where
NCCL takes tens of microseconds. NCCL sums whatever is larger, of a dtype that the kernel does not know, or on machines
where the ranks can't map each other's memory. CPUs use gloo. NVLink multicast is never used. All of it can be captured
in a CUDA graph.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import torch
from torch import distributed

PUSHED, ONE_SHOT, STANDARD = "pushed_allreduce", "one_shot_allreduce", "allreduce"
DIRECT_BYTES = 1 << 19  # beyond, every rank getting all of its peers' parts costs more than latency saves
ONE_SHOT_TYPES = (torch.bfloat16, torch.float32)
ALIGNMENT = 4  # bytes; the least that the kernels read at a time


class Collectives:
    """All-reduce over the default group; every rank makes the same calls in the same order.

    Args:
        device: of this process.
        symmetric: try symmetric memory; all ranks must say the same.
        pushed: sum by this project's kernel, not by torch's own one, which is there to compare with.

    Attributes:
        calls: how often each kind was called.
        disabled: leave the all-reduces out, each rank keeping its own part: for timing a step without them.
        reason: why symmetric memory is not used, or None.
    """

    def __init__(self, device: torch.device, *, symmetric: bool = True, pushed: bool = True) -> None:
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()
        self.device = device
        self.calls: Counter[str] = Counter()
        self.disabled = False
        self._buffer: torch.Tensor | None = None
        self._pushed = pushed
        self.reason: str | None = "the ranks run on CPUs" if device.type != "cuda" else "it was switched off"
        if device.type == "cuda" and symmetric:
            self.reason = self._share_memory()

    def _share_memory(self) -> str | None:
        """Allocate a buffer that all ranks map; returns why that failed on one of them, or None."""
        # Read when the memory is mapped; on shared hosts multicast can fail all of its GPUs, and nothing here uses it.
        os.environ["TORCH_SYMM_MEM_DISABLE_MULTICAST"] = "1"
        peers = range(torch.cuda.device_count())
        own = self.device.index
        near = all(torch.cuda.can_device_access_peer(own, peer) for peer in peers if peer != own)
        reason = None if near and len(peers) >= self.size else "a GPU can't read the memory of another"
        buffer = None
        if self._all_agree(reason is None):
            try:
                from torch.distributed import _symmetric_memory

                buffer = _symmetric_memory.empty(self._bytes(), dtype=torch.uint8, device=self.device)
                shared = _symmetric_memory.rendezvous(buffer, distributed.group.WORLD.group_name)
                buffer.zero_()
                self._rooms = torch.tensor(shared.buffer_ptrs, dtype=torch.int64, device=self.device)
            except (ImportError, AttributeError, RuntimeError) as error:
                reason, buffer = str(error).strip().split("\n")[0], None
        if not self._all_agree(buffer is not None):
            return reason or "another rank has none"  # whoever answers has emptied its room
        self._buffer = buffer
        if self._pushed:
            from scripts.kernels import triton_sums

            self._sums = triton_sums
            self._counts = torch.zeros(triton_sums.CHUNKS, dtype=torch.int32, device=self.device)
        return None

    def _bytes(self) -> int:
        """Of each rank's memory that the others map."""
        if not self._pushed:
            return DIRECT_BYTES
        from scripts.kernels import triton_sums

        return triton_sums.room_bytes(self.size)

    def _all_agree(self, holds: bool) -> bool:
        answers = torch.tensor([int(holds)], device=self.device)
        distributed.all_reduce(answers)
        return int(answers) == self.size

    def all_reduce(self, x: torch.Tensor) -> torch.Tensor:
        """The sum of all ranks' ``x``, which must be contiguous and may be overwritten."""
        if self.disabled:
            return x
        if self._fits(x) and self._pushed:
            self.calls[PUSHED] += 1
            return self._sums.sum_ranks(x, self._counts, self._rooms, self.rank, self.size)
        if self._fits(x):
            self.calls[ONE_SHOT] += 1
            room = self._buffer[: x.numel() * x.element_size()].view(x.dtype).view(x.shape)
            # Copies the own part into the buffer, waits for the peers, adds, and waits until all have read.
            return torch.ops.symm_mem.one_shot_all_reduce_copy(room, x, "sum", distributed.group.WORLD.group_name)
        self.calls[STANDARD] += 1
        distributed.all_reduce(x)
        return x

    def _fits(self, x: torch.Tensor) -> bool:
        size = x.numel() * x.element_size()
        if self._buffer is None or size > DIRECT_BYTES:
            return False
        if self._pushed:
            return self._sums.fits(x)
        return x.dtype in ONE_SHOT_TYPES and size % ALIGNMENT == 0 and x.storage_offset() == 0

    def facts(self) -> dict[str, Any]:
        """How the all-reduces are made, for the evidence."""
        backend = distributed.get_backend()
        if self._buffer is None:
            return {"sums_by": backend, "no_symmetric_memory_because": self.reason}
        return {"sums_by": "symmetric memory", "sums_above_bytes_by": [DIRECT_BYTES, backend]}
