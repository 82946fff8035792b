"""Detects a running Snakemake in this folder, and removes the lock of a killed one."""

import contextlib
import fcntl
import os
import shutil
from pathlib import Path

from scripts.foundation.errors import StudyError

LOCK = Path(".snakemake/udaciheadline.lock")
SNAKEMAKES = Path(".snakemake/locks")
_held: list[int] = []


def hold() -> None:
    """Hold a shared flock in the working directory while this process lives."""
    # Without it Snakemake's own lock still holds; only unlock() then leaves things to the user.
    with contextlib.suppress(OSError):
        LOCK.parent.mkdir(exist_ok=True)
        _held.append(os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o666))
        fcntl.flock(_held[-1], fcntl.LOCK_SH)


def unlock() -> bool:
    """Remove a stale Snakemake lock in the working directory; returns whether there was one.

    Where the file system has no locks nothing is removed: ``snakemake --unlock`` is then the user's decision.

    Raises:
        StudyError: a Snakemake works in the folder.
    """
    if not any(SNAKEMAKES.glob("*.lock")):
        return False
    busy = StudyError(f"another Snakemake works in {Path.cwd()}; wait until it is done, or end it.")
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        # Held until the end, so that none begins meanwhile.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _others():
            raise busy
        shutil.rmtree(SNAKEMAKES)
        return True
    except BlockingIOError:
        raise busy from None
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _others() -> bool:
    """Whether this machine has a Snakemake in this folder that does not hold the lock, as an older one."""
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            # A console script, or python -m snakemake.
            named = [Path(part).name for part in process.cmdline()[:5]]
            if process.pid != os.getpid() and "snakemake" in named and Path(process.cwd()) == Path.cwd():
                return True
    return False
