"""The order in which waiting jobs of a node get devices: first come, first served, whoever asks for how many.

Each waiting job shows a file that is named by when it came and holds the devices that it can use; a later one leaves
all of these to it. Without this order, jobs of one GPU each would pass one that waits for several as long as they come.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.inference import presence

STALE_S = 10.0  # a job that has not looked for so long is stopped, and nobody waits for it


class Turn:
    """The place of a waiting job.

    Args:
        file: that it shows; None where the system has no file locks, and so no order.

    Attributes:
        ahead: how many jobs that came earlier were waiting when it last looked, at most.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self.ahead = 0

    def free_to_take(self, devices: list[str]) -> list[str]:
        """Those of ``devices`` that no job which came earlier can use; each waiting job calls it often."""
        if self._file is None:
            return devices
        _beat(self._file)
        left = list(devices)
        waiting = sorted(path for path in self._file.parent.glob("*.wait") if path.name < self._file.name)
        self.ahead = len(waiting)
        for earlier in waiting:
            if not left:
                break
            left = [device for device in left if device not in _wanted(earlier)]
        return left


@contextlib.contextmanager
def wait_in(directory: Path, devices: list[str]) -> Iterator[Turn]:
    """Wait for some of these devices in the block, behind those who wait already."""
    if presence.fcntl is None:
        yield Turn(None)
        return
    # Monotonic, so that a clock which is set back gives nobody's turn away.
    path = directory / f"{time.monotonic_ns():020d}-{os.getpid()}-{os.urandom(4).hex()}.wait"
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(presence.file(path, json.dumps(devices).encode()))
        except OSError:  # a file system without locks
            path = None
        yield Turn(path)


def _beat(file: Path) -> None:
    """Note the monotonic time as the file's time of change."""
    now = time.monotonic_ns()
    with contextlib.suppress(OSError):
        os.utime(file, ns=(now, now))


def _wanted(file: Path) -> list[str]:
    """The devices that another job waits for; none if it has ended, or is stopped."""
    try:
        # What has not been looked after yet has the time of day, far ahead.
        stopped = time.monotonic_ns() - file.stat().st_mtime_ns > STALE_S * 1e9
        return [] if stopped or not presence.lives(file) else json.loads(file.read_bytes())
    except (OSError, ValueError):
        return []
