"""All-reduce over the ranks of a process group, fast enough for two in every layer of a decode step.

On GPUs, small tensors go through symmetric memory (``torch.distributed._symmetric_memory``) by torch's one-shot kernel,
since NCCL takes tens of microseconds. Two ways of the project's own, in which each rank writes its part into its peers'
memory over NVLink and waits for one trip, are there to be compared (``tests.performance.rank_sums``): ``triton_sums``,
and for products of one row, which send their parts themselves, ``triton_pushed``. NCCL sums whatever is larger, of a
dtype that the kernel does not know, or on machines where the ranks can't map each other's memory. CPUs use gloo. NVLink
multicast is never used. All of it can be captured in a CUDA graph.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import torch
from torch import distributed

from scripts.kernels.matrix import Matrix

PUSHED_PRODUCT, PUSHED, ONE_SHOT, STANDARD = (
    "allreduce_pushed_by_product", "pushed_allreduce", "one_shot_allreduce", "allreduce",
)  # fmt: skip
DIRECT_BYTES = 1 << 19  # beyond, every rank getting all of its peers' parts costs more than latency saves
ONE_SHOT_TYPES = (torch.bfloat16, torch.float32)
ALIGNMENT = 4  # bytes; the least that the kernels read at a time


class Collectives:
    """All-reduce over the default group; every rank makes the same calls in the same order.

    Args:
        device: of this process.
        symmetric: try symmetric memory; all ranks must say the same.
        sums: how small tensors are summed through symmetric memory: ONE_SHOT; PUSHED; PUSHED_PRODUCT where the product
            of one row is summed, and all else by PUSHED.

    Attributes:
        calls: how often each kind was called.
        disabled: leave the all-reduces out, each rank keeping its own part: for timing a step without them.
        reason: why symmetric memory is not used, or None.
    """

    def __init__(self, device: torch.device, *, symmetric: bool = True, sums: str = ONE_SHOT) -> None:
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()
        self.device = device
        self.calls: Counter[str] = Counter()
        self.disabled = False
        self._buffer: torch.Tensor | None = None
        self._pushed, self._products = sums in (PUSHED, PUSHED_PRODUCT), sums == PUSHED_PRODUCT
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
            from scripts.kernels import triton_pushed, triton_sums

            self._sums = triton_sums
            self._counts = torch.zeros(triton_sums.CHUNKS, dtype=torch.int32, device=self.device)
            self._product = triton_pushed.Pushed(
                triton_pushed.counted(self.device),
                self._rooms + triton_sums.room_bytes(self.size),
                self.rank,
                self.size,
            )
        return None

    def _bytes(self) -> int:
        """Of each rank's memory that the others map."""
        if not self._pushed:
            return DIRECT_BYTES
        from scripts.kernels import triton_pushed, triton_sums

        return triton_sums.room_bytes(self.size) + triton_pushed.room_bytes(self.size)

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

    def sums_product(self, ops: Any, x: torch.Tensor, matrix: Matrix) -> bool:
        """Whether ``product`` may be asked for: products of several rows have their parts summed when they are done."""
        shared = self._buffer is not None and self._products
        return shared and not self.disabled and ops.pushes(x, matrix)

    def product(self, ops: Any, x: torch.Tensor, matrix: Matrix, residual: torch.Tensor | None) -> torch.Tensor:
        """The sum of all ranks' products, [1, K] -> [1, N], and the residual, the same on each of them."""
        self.calls[PUSHED_PRODUCT] += 1
        return ops.summed_linear(x, matrix, self._product, residual)

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
