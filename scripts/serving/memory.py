"""Memory of a server's processes on the machine: shared pages are counted once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import psutil


def of_processes(processes: Iterable[int]) -> tuple[int, str] | None:
    """Bytes that processes hold together, and how that was read; None where none of them can be read.

    ``pss``: proportional set size, which divides a shared page among those that share it (Linux). ``rss``: the sum of
    resident sets, which counts a shared page for each of them.
    """
    found: list[tuple[int, int | None]] = []
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):
            one = psutil.Process(process)
            if one.status() == psutil.STATUS_ZOMBIE:
                continue
            full = one.memory_full_info()
            found.append((full.rss, getattr(full, "pss", None)))
    if not found:
        return None
    shares = [pss for _, pss in found if pss is not None]
    return (sum(shares), "pss") if len(shares) == len(found) else (sum(rss for rss, _ in found), "rss")
