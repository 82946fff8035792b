"""Exclusive use of GPUs: one lock file a device, shared by every process of the node, released by the kernel."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from scripts.foundation.errors import StudyError

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5


def lock_directory() -> Path:
    """Where the locks lie: the same for every user of the node."""
    directory = Path(tempfile.gettempdir()) / "udaciheadline-gpu-leases"
    directory.mkdir(exist_ok=True)
    with contextlib.suppress(OSError):
        # Not sticky: kernels may refuse opening another user's file for writing in a sticky, world-writable place.
        directory.chmod(0o777)
    return directory


def visible(devices: list[str], selection: str | None) -> list[str]:
    """The devices that CUDA_VISIBLE_DEVICES leaves, as unique ids.

    Args:
        devices: unique ids in PCI order.
        selection: the variable's value: indices in PCI order, unique ids or beginnings of them; None for all.

    Raises:
        StudyError: an entry names no device of this machine.
    """
    if selection is None:
        return devices
    chosen = []
    for entry in (part.strip() for part in selection.split(",")):
        if entry in ("", "-1"):
            break  # as CUDA does: what follows an invalid entry is invisible
        if entry.isdigit() and int(entry) < len(devices):
            chosen.append(devices[int(entry)])
            continue
        matches = [device for device in devices if device.startswith(entry)]
        if entry.isdigit() or len(matches) != 1:
            raise StudyError(
                f"CUDA_VISIBLE_DEVICES names '{entry}', none of this machine's {len(devices)} GPUs; correct it."
            )
        chosen.append(matches[0])
    return list(dict.fromkeys(chosen))


@contextlib.contextmanager
def lease(devices: list[str], count: int, directory: Path | None = None) -> Iterator[list[str]]:
    """Hold ``count`` of ``devices`` for the length of the block, waiting until they are free.

    All or nothing: a partial set is given back before waiting, so that two waiting jobs can't block each other. The
    locks are flock locks on open files, so they end with the process however it ends.
    """
    directory = directory or lock_directory()
    waited = False
    while True:
        with contextlib.ExitStack() as held:
            taken = []
            for device in devices:
                lock = FileLock(str(directory / f"{device}.lock"), mode=0o666)
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    continue
                held.callback(lock.release)
                taken.append(device)
                if len(taken) == count:
                    yield taken
                    return
        if not waited:
            logger.info("waiting for %d of %d GPUs to be free", count, len(devices))
            waited = True
        # A varying pause, so that two waiting jobs do not keep meeting.
        time.sleep(POLL_SECONDS * (0.5 + (os.getpid() + time.monotonic_ns()) % 1000 / 1000))
