"""Temporary folders of killed processes: each folder has a lock file that its owner holds while it lives."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

OWNER = ".owner"


def hold(folder: Path) -> int:
    """Mark a temporary folder as in use until the file descriptor that is returned is closed, or this process ends."""
    unlocked = folder / f"{OWNER}.new"
    descriptor = os.open(unlocked, os.O_RDWR | os.O_CREAT, 0o600)
    # A file system without locks: then no folder of it is ever removed.
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    # Only now under its name, so that nobody can take the lock first.
    unlocked.rename(folder / OWNER)
    return descriptor


def sweep(prefix: str) -> None:
    """Remove this user's temporary folders of a prefix whose owner has ended; one that was never marked stays."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
                continue
            descriptor = os.open(folder / OWNER, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
