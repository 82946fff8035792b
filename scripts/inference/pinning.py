"""Pins a run and its reference process to the same CPUs.

On a shared host cores differ in speed from second to second, so both are timed on the same ones, which no other run of
this node uses at the same time.
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
def reserved(count: int, directory: Path | None = None) -> Iterator[list[int] | None]:
    """Lease ``count`` CPUs for the block; None if that is all of them, or too few are free."""
    if not hasattr(os, "sched_setaffinity") or count >= len(os.sched_getaffinity(0)):
        yield None
        return
    with contextlib.ExitStack() as locks:
        cpus = None
        # Without file locks, runs are not pinned.
        with contextlib.suppress(OSError, NotImplementedError):
            directory = directory or leases.lock_directory("cpu")
            cpus = locks.enter_context(leases.try_lease(by_preference(os.sched_getaffinity(0)), count, directory))
        yield sorted(cpus) if cpus else None


def by_preference(cpus: set[int]) -> list[int]:
    """Fast cores first, then their second hardware threads; high numbers first, as CPU 0 handles interrupts."""
    speeds = {cpu: _speed(cpu) for cpu in cpus}
    fast = FAST * max(speeds.values(), default=0)
    return sorted(cpus, key=lambda cpu: (speeds[cpu] < fast, _place(cpu), -cpu))


def _speed(cpu: int) -> int:
    """Relative capacity of a CPU by the kernel, in its own unit; 0 if unknown."""
    for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        with contextlib.suppress(OSError, ValueError):
            return int((TOPOLOGY / f"cpu{cpu}" / name).read_text())
    return 0


def _place(cpu: int) -> int:
    """Index of the CPU among its core's hardware threads."""
    try:
        listed = (TOPOLOGY / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text()
    except OSError:
        return 0
    first_to_last = re.findall(r"(\d+)(?:-(\d+))?", listed)
    siblings = [number for first, last in first_to_last for number in range(int(first), int(last or first) + 1)]
    return siblings.index(cpu) if cpu in siblings else 0


def pin(cpus: list[int] | None, rank: int, threads: int) -> None:
    """Pin this thread and its future child threads to the rank's share of these CPUs, if there are enough."""
    own = (cpus or [])[rank * threads : (rank + 1) * threads]
    if len(own) == threads:
        os.sched_setaffinity(0, own)
