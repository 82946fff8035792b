"""Recording a piece of device work once, to be started again by a single call.

On a CPU there is nothing to record: the piece is the function itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from scripts.runtime.errors import UnsupportedError

Work = Callable[[], None]
WARMUP_RUNS = 2  # runs before the recording, which compile kernels and make libraries take their scratch memory


def rehearse(work: Work) -> None:
    """Run the work as it will be recorded.

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


class Recorder:
    """Captures graphs on one device; all of them share their memory, since none run at the same time."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.graphs = 0
        self.seconds = 0.0
        self._pool = None

    def record(self, work: Work) -> Work:
        """What starts the work again; it must ask the device for nothing and keep its tensors."""
        began = time.perf_counter()
        try:
            return work if self.device.type != "cuda" else self._capture(work)
        finally:
            self.seconds += time.perf_counter() - began

    def _capture(self, work: Work) -> Work:
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            rehearse(work)
        torch.cuda.current_stream(self.device).wait_stream(stream)
        torch.cuda.synchronize(self.device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"):
            work()
        self._pool = self._pool or graph.pool()
        torch.cuda.synchronize(self.device)
        self.graphs += 1
        return graph.replay
