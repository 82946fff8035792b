"""Whether a Snakemake works in this folder, and taking away the lock that a killed one left."""

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
    """Show that this process works in the current folder, as long as it lives: a shared lock of the kernel's."""
    # Without it Snakemake's own lock still holds; only unlock() then leaves things to the user.
    with contextlib.suppress(OSError):
        LOCK.parent.mkdir(exist_ok=True)
        _held.append(os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o666))
        fcntl.flock(_held[-1], fcntl.LOCK_SH)


def unlock() -> bool:
    """Remove Snakemake's lock of the current folder if no Snakemake works in it; whether one was removed.

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
