"""CPUs that a run keeps to, and its reference with it.

Cores are not alike from second to second: on a shared host one of them may do half of what another does. Technique and
reference are compared on the same ones. No other run of this node is given them meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from scripts.inference import leases

TOPOLOGY = Path("/sys/devices/system/cpu")
FAST = 0.85  # of the fastest core's speed: cores made to save power do less


@contextlib.contextmanager
def held(count: int, directory: Path | None = None) -> Iterator[list[int] | None]:
    """Hold ``count`` CPUs for the length of the block; None where all are wanted, or so many are not free."""
    if not hasattr(os, "sched_setaffinity") or count >= len(os.sched_getaffinity(0)):
        yield None
        return
    with contextlib.ExitStack() as locks:
        cpus = None
        # Where there can be no locks, runs go wherever the system puts them.
        with contextlib.suppress(OSError, NotImplementedError):
            directory = directory or leases.lock_directory("cpu")
            cpus = locks.enter_context(leases.free(in_order(os.sched_getaffinity(0)), count, directory))
        yield sorted(cpus) if cpus else None


def in_order(cpus: set[int]) -> list[int]:
    """Fast cores first, one CPU of each, then their second threads; the last first, since interrupts meet CPU 0."""
    speeds = {cpu: _speed(cpu) for cpu in cpus}
    fast = FAST * max(speeds.values(), default=0)
    return sorted(cpus, key=lambda cpu: (speeds[cpu] < fast, _place(cpu), -cpu))


def _speed(cpu: int) -> int:
    """What the kernel holds a CPU to be able to do, in a unit of its own; 0 where it does not say."""
    for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        with contextlib.suppress(OSError, ValueError):
            return int((TOPOLOGY / f"cpu{cpu}" / name).read_text())
    return 0


def _place(cpu: int) -> int:
    """Which thread of its core a CPU is: 0 for the first."""
    try:
        listed = (TOPOLOGY / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text()
    except OSError:
        return 0
    first_to_last = re.findall(r"(\d+)(?:-(\d+))?", listed)
    siblings = [number for first, last in first_to_last for number in range(int(first), int(last or first) + 1)]
    return siblings.index(cpu) if cpu in siblings else 0


def pin(cpus: list[int] | None, rank: int, threads: int) -> None:
    """Keep this thread, and those that it starts from now on, to the rank's share of these CPUs, if it is whole."""
    own = (cpus or [])[rank * threads : (rank + 1) * threads]
    if len(own) == threads:
        os.sched_setaffinity(0, own)
