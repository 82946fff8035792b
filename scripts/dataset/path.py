"""The path of a data file: a file that can be read, or a sentence that says why not."""

import os
import stat
from pathlib import Path

from scripts.foundation.errors import StudyError

KEY = "dataset.file.path"
#: Opening a pipe or a terminal waits for ever for somebody to write to it.
_OTHERS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


def data_file(path: str) -> Path:
    """Return the path of an existing, readable, regular file.

    Raises:
        StudyError: it is none; one sentence that names the key and what stands there.
    """
    file = Path(path)
    try:
        file = file.expanduser()
        mode = file.stat().st_mode
    except FileNotFoundError:
        raise StudyError(f"{KEY}: {path} does not exist; name an existing file.") from None
    except PermissionError:
        raise StudyError(f"{KEY}: {path} may not be read; change its permissions.") from None
    except (OSError, RuntimeError, ValueError) as error:  # no folder on the way, a loop of links, a null byte, no home
        raise StudyError(f"{KEY}: {path} can't be opened ({_why(error)}); name an existing file.") from None
    if stat.S_ISDIR(mode):
        raise StudyError(f"{KEY}: {path} is a directory; name one file.")
    for is_kind, name in _OTHERS:
        if is_kind(mode):
            raise StudyError(f"{KEY}: {path} is {name}, not a file; save its content to a file and name that.")
    if not os.access(file, os.R_OK):
        raise StudyError(f"{KEY}: {path} may not be read; change its permissions.")
    return file


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
