"""Checks, before anything runs, that results can be written."""

import errno
import os
import tempfile
from pathlib import Path

from scripts.foundation.errors import StudyError


def check(results: Path) -> None:
    """Check that a results folder, or the folder that will contain it, is writable.

    Raises:
        StudyError: it, or a folder in it, can't be written, or its disk is full.
    """
    folders = [Path(folder) for folder, _, _ in os.walk(results)] or [results.absolute().parent]
    for folder in folders:
        if not os.access(folder, os.W_OK | os.X_OK):
            raise StudyError(
                f"{folder.absolute()} can't be written; change its permissions, or choose another with --directory."
            )
    try:
        with tempfile.TemporaryFile(dir=folders[0]) as handle:
            handle.write(bytes(4096))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise StudyError(f"{folders[0].absolute()} can't be written ({error.strerror}).") from None
        raise StudyError(
            f"the disk of {folders[0].absolute()} is full; free some space and run the same command again."
        ) from None
