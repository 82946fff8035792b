"""One writer of a folder at a time: a lock beside it that ends with its process."""

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
    """Be the only one in this block for a folder; another process is waited for, but not for long.

    The lock is the kernel's (flock) on ``.<folder>.lock`` beside the folder, so it ends with the process however that
    ends. On a network file system it holds between machines where that file system has such locks; where it has none,
    a warning says so.

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
