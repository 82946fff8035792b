"""One writer of a folder at a time, by a file lock next to it."""

import contextlib
import errno
import logging
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from scripts.foundation.errors import StudyError

logger = logging.getLogger(__name__)

WAIT_S = 30.0  # enough for a job to end whose Snakemake was killed
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the exclusive lock of a folder in the block; waits up to ``WAIT_S`` for another process.

    The lock is a flock on ``.<folder>.lock`` next to the folder, released by the kernel when the process ends. A file
    system without such locks causes a warning.

    Raises:
        StudyError: another process still writes the folder.
    """
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(str(folder.parent / f".{folder.name}.lock"), mode=0o666)
    try:
        lock.acquire(timeout=WAIT_S)
    except Timeout:
        raise StudyError(
            f"another job writes {folder}; wait until it is done or end it, then run the same command again."
        ) from None
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise
        logger.warning("%s: this file system has no locks; let no second run write there meanwhile.", folder)
    try:
        yield
    finally:
        lock.release()
