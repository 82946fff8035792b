"""Runs that are measured on one node at the same time: allowed by default, or none beside a run that asks to be alone.

Two flocks of the node, which the kernel releases when a process ends. Runs hold ``runs`` together, one that is alone
holds it exclusively; whoever comes queues for ``turn`` first, so that a run that waits to be alone lets no later one
pass before it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.inference import leases, presence
from scripts.inference.presence import fcntl

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1


@contextlib.contextmanager
def beside(*, alone: bool, directory: Path | None = None) -> Iterator[None]:
    """Hold this node for a run in the block, together with other runs or alone; waits until that is possible.

    Args:
        alone: let no other run of this node be measured, and no model be trained, meanwhile.
        directory: of the lock files; by default the same for every user of the node.
    """
    if fcntl is None:
        if alone:
            logger.warning("this system has no file locks; let nothing else run meanwhile.")
        yield
        return
    directory = directory or leases.lock_directory("node")
    directory.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        with contextlib.ExitStack() as turn:
            _hold(directory / "turn.lock", True, turn, "its turn")
            _hold(
                directory / "runs.lock", alone, held, "the other runs of this node" if alone else "a run that is alone"
            )
        held.enter_context(_seen_in(directory))
        yield


def others(directory: Path | None = None) -> int:
    """How many other processes of this node hold it now, with a run or a model's training."""
    if fcntl is None:
        return 0
    directory = directory or leases.lock_directory("node")
    return sum(presence.lives(path) for path in directory.glob("*.run") if path not in _OWN)


_OWN: set[Path] = set()


@contextlib.contextmanager
def _seen_in(directory: Path) -> Iterator[None]:
    """A file that is locked while this process holds the node, by which others count it."""
    path = directory / f"{os.getpid()}-{os.urandom(4).hex()}.run"
    _OWN.add(path)
    try:
        with presence.file(path):
            yield
    finally:
        _OWN.discard(path)


def _hold(path: Path, alone: bool, held: contextlib.ExitStack, what: str) -> None:
    """Lock a file until ``held`` closes."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    held.callback(os.close, file)  # which releases the lock
    with contextlib.suppress(OSError):
        path.chmod(0o666)  # whatever the umask; another user's file has it already
    kind, waited = fcntl.LOCK_EX if alone else fcntl.LOCK_SH, False
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not waited:
                logger.info("waiting for %s", what)
            waited = True
        time.sleep(POLL_SECONDS)
