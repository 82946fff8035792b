"""Resident memory of this process on Linux: proc_pid_status(5), proc_pid_smaps(5).

Resident pages are of two kinds. Private pages (RssAnon, RssShmem) were written by the process. File pages
(RssFile) are mapped from disk and shared: libraries, and a memory-mapped checkpoint.
"""

from __future__ import annotations

import bisect
import contextlib
import ctypes
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

STATUS = Path("/proc/self/status")
SMAPS = Path("/proc/self/smaps")
RESET = Path("/proc/self/clear_refs")
_RANGE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ (\d+)")


def field(name: str) -> int | None:
    """A size of /proc/self/status in bytes; None where the system has no such file or line."""
    with contextlib.suppress(OSError):
        match = re.search(rf"^{name}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
        if match:
            return int(match.group(1)) * 1024
    return None


def lifetime_peak() -> int:
    """Peak resident bytes over the process's lifetime, where the peak can't be reset."""
    import resource
    import sys

    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def reset_peak() -> bool:
    """Reset the peak to the current use; False where the kernel does not allow it."""
    try:
        RESET.write_text("5")
    except OSError:
        return False
    return True


def trim_heap() -> None:
    """Return freed memory to the system (glibc's ``malloc_trim``)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


@dataclass
class Mapped:
    """A file that is mapped into the process.

    Attributes:
        start: first address.
        end: the address behind the last.
        file_bytes: resident bytes that are the file's own.
        private_bytes: resident bytes of copied (written) pages.
    """

    start: int
    end: int
    file_bytes: int = 0
    private_bytes: int = 0


def mapped_files() -> list[Mapped]:
    """The mapped files in order of address; none where the system does not list them."""
    found: list[Mapped] = []
    with contextlib.suppress(OSError):
        inside: Mapped | None = None
        for line in SMAPS.read_text().splitlines():
            head = _RANGE.match(line)
            if head:
                # Anonymous memory has inode 0.
                inside = Mapped(int(head[1], 16), int(head[2], 16)) if int(head[3]) else None
                if inside:
                    found.append(inside)
            elif inside and line.startswith("Rss:"):
                inside.file_bytes += int(line.split()[1]) * 1024
            elif inside and line.startswith("Anonymous:"):
                private = int(line.split()[1]) * 1024
                inside.private_bytes += private
                inside.file_bytes -= private
    return found


@dataclass
class OnFile:
    """Tensors that lie in mapped files.

    Attributes:
        tensor_bytes: bytes of the tensors.
        file_bytes: resident file pages of those files, including other tensors'.
        private_bytes: copied (written) pages of those files, which count as private.
    """

    tensor_bytes: int
    file_bytes: int
    private_bytes: int


def on_file(tensors: Iterable[tuple[int, int]], mapped: list[Mapped]) -> OnFile:
    """How much of the tensors, given as address and bytes, lies in mapped files."""
    starts = [each.start for each in mapped]
    held, used = 0, {}
    for address, size in tensors:
        at = bisect.bisect_right(starts, address) - 1
        if at >= 0 and address < mapped[at].end:
            held += size
            used[at] = mapped[at]
    files = list(used.values())
    return OnFile(held, sum(each.file_bytes for each in files), sum(each.private_bytes for each in files))
