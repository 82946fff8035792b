"""What a run's time goes on: seconds of each phase, from the start of its process."""

import time

import psutil


class Phases:
    """Counts from the start of this process.

    Attributes:
        seconds: of each phase that has ended, in their order.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        # What the process did before this, which is mostly importing.
        age = max(0.0, time.time() - psutil.Process().create_time())
        self._last = time.perf_counter() - age

    def end(self, phase: str) -> None:
        """A phase ends, and the next begins."""
        now = time.perf_counter()
        self.seconds[phase] = now - self._last
        self._last = now
