"""Device synchronisation, and times of a model's forward calls."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished all queued work."""
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)


@dataclass
class CallTimes:
    """Seconds of each forward call of a model, the first call of every request left out (it reads the prompt)."""

    device: torch.device
    seconds: list[float] = field(default_factory=list)
    _began: float = 0.0

    def before(self, module: Any, args: Any, kwargs: Any) -> None:
        """A call begins."""
        synchronise(self.device)
        self._began = time.perf_counter()

    def after(self, module: Any, args: Any, output: Any) -> None:
        """It ends."""
        synchronise(self.device)
        self.seconds.append(time.perf_counter() - self._began)

    def typical(self) -> float | None:
        """The median of the calls after the first."""
        return median(self.seconds[1:]) if len(self.seconds) > 1 else None


@contextlib.contextmanager
def timed_calls(model: Any, device: torch.device) -> Iterator[CallTimes]:
    """Time a model's forward calls. It synchronises at every call, so it is not for timed samples."""
    times = CallTimes(device)
    hooks = [
        model.register_forward_pre_hook(times.before, with_kwargs=True),
        model.register_forward_hook(times.after),
    ]
    try:
        yield times
    finally:
        for hook in hooks:
            hook.remove()
