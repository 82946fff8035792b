"""Checks that paths in a study can be read, without opening them (a FIFO would block)."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from scripts.foundation.errors import StudyError
from scripts.foundation.wording import shown

_REASONS = {
    errno.ENOENT: "does not exist",
    errno.ENOTDIR: "does not exist",
    errno.ELOOP: "is a loop of symbolic links, or too long a chain of them",
    errno.ENAMETOOLONG: "is longer than the system allows",
    errno.EACCES: "can't be read (permission denied)",
    errno.EPERM: "can't be read (permission denied)",
}


def file_problem(path: str | Path) -> str | None:
    """Why ``path`` can't be read as a file, as the end of a sentence; None if it can."""
    mode = _mode(path)
    if isinstance(mode, str):
        return mode
    return _kind(mode) if not stat.S_ISREG(mode) else _locked(path, os.R_OK)


def directory_problem(path: str | Path) -> str | None:
    """The same for a directory."""
    mode = _mode(path)
    if isinstance(mode, str):
        return mode
    return _kind(mode) if not stat.S_ISDIR(mode) else _locked(path, os.R_OK | os.X_OK)


def check_file(key: str, path: str | Path) -> None:
    """Check that the file of a key can be read.

    Raises:
        StudyError: it can't; the sentence names the key and the path.
    """
    problem = file_problem(path)
    if problem:
        raise StudyError(f"{key}: the file {_named(path)} {problem}; correct the path.")


def check_directory(key: str, path: str | Path) -> None:
    """The same for a directory."""
    problem = directory_problem(path)
    if problem:
        raise StudyError(f"{key}: the directory {_named(path)} {problem}; correct the path.")


def _named(path: str | Path) -> str:
    return shown(str(path))[1:-1]


def _mode(path: str | Path) -> int | str:
    try:
        return os.stat(path).st_mode
    except ValueError:
        return "holds a character that no path can"
    except OSError as error:
        if error.errno == errno.ENOENT and os.path.islink(path):
            return "is a symbolic link to nothing"
        return _REASONS.get(error.errno or 0, f"can't be read ({error.strerror})")


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFIFO: "is a named pipe (FIFO)", stat.S_IFSOCK: "is a socket", stat.S_IFCHR: "is a device",
        stat.S_IFBLK: "is a device", stat.S_IFDIR: "is a directory", stat.S_IFREG: "is a file",
    }  # fmt: skip
    return kinds.get(stat.S_IFMT(mode), "is no file or directory")


def _locked(path: str | Path, wanted: int) -> str | None:
    return None if os.access(path, wanted) else _REASONS[errno.EACCES]
