"""Capturing work as CUDA graphs, each replayed by a single call; on a CPU the work itself is called."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from scripts.runtime.errors import UnsupportedError

Replay = Callable[[], None]
WARMUP_RUNS = 2  # before the capture: they compile kernels and let libraries allocate their workspace


def warm_up(work: Replay) -> None:
    """Run the work as it will be captured.

    Raises:
        UnsupportedError: a kernel needs more of a multiprocessor than this GPU has.
    """
    from triton.runtime.errors import OutOfResources

    try:
        for _ in range(WARMUP_RUNS):
            work()
    except OutOfResources as error:
        raise UnsupportedError(
            f"A kernel of the graph engine needs {error.required} of a multiprocessor's {error.name} for this model's "
            f"heads; this GPU has {error.limit}."
        ) from error


class GraphPool:
    """Captures graphs on one device; all share a memory pool, since no two run at the same time."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.graphs = 0  # captured
        self.seconds = 0.0  # of capturing
        self._pool = None

    def capture(self, work: Replay) -> Replay:
        """What replays the work, which must not synchronise and must keep its tensors."""
        began = time.perf_counter()
        try:
            return work if self.device.type != "cuda" else self._capture(work)
        finally:
            self.seconds += time.perf_counter() - began

    def _capture(self, work: Replay) -> Replay:
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            warm_up(work)
        torch.cuda.current_stream(self.device).wait_stream(stream)
        torch.cuda.synchronize(self.device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"):
            work()
        self._pool = self._pool or graph.pool()
        torch.cuda.synchronize(self.device)
        self.graphs += 1
        return graph.replay
