"""What a run's time goes on: seconds of each phase, from the start of its process."""

import os
import sys
import time
from pathlib import Path

import psutil


def age_s() -> float:
    """Seconds since this process was started.

    On Linux by the clock that the kernel counts both from: the boot time, which psutil adds, is in whole seconds.
    """
    if not sys.platform.startswith("linux"):
        return time.time() - psutil.Process().create_time()
    # Fields behind the name, which may hold spaces and brackets; the 22nd of all is the start, in clock ticks.
    fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


class Phases:
    """Counts from the start of this process.

    Attributes:
        seconds: of each phase that has ended, in their order.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        # What the process did before this, which is mostly importing.
        self._last = time.perf_counter() - max(0.0, age_s())

    def end(self, phase: str) -> None:
        """A phase ends, and the next begins."""
        now = time.perf_counter()
        self.seconds[phase] = now - self._last
        self._last = now
