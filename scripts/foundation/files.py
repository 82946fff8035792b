"""Reading and atomic writing of files: a temporary file, then a rename."""

import contextlib
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from scripts.foundation.errors import StudyError


@contextlib.contextmanager
def atomic_writer(path: str | Path) -> Iterator[TextIO]:
    """Open a text file that appears under ``path`` only once it is complete and on disk."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        # mkstemp makes the file private; results are meant to be read like any other file.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` atomically."""
    with atomic_writer(path) as handle:
        handle.write(text)


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` atomically as indented JSON; NaN and infinity are refused, since JSON has neither."""
    write_text(path, _dumps(path, value, indent=2) + "\n")


def write_json_lines(path: str | Path, rows: Iterable[Any]) -> int:
    """Write one JSON value a line, atomically; return how many."""
    count = 0
    with atomic_writer(path) as handle:
        for row in rows:
            handle.write(_dumps(path, row) + "\n")
            count += 1
    return count


def _dumps(path: str | Path, value: Any, indent: int | None = None) -> str:
    try:
        return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        where = next(_not_finite(value), None)
        found = f"{where} in {Path(path).name}; JSON has only finite numbers" if where else str(error)
        raise ValueError(found) from None


def _not_finite(value: Any, key: str = "") -> Iterator[str]:
    """Name each number in a value that is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{key.lstrip('.') or 'a value'} is {value}"
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _not_finite(part, f"{key}.{name}")
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from _not_finite(part, f"{key}[{index}]")


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's content, in hex."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def read_text(path: str | Path) -> str:
    """Read a text file as it is, line ends included.

    Raises:
        StudyError: the file is missing.
    """
    try:
        return Path(path).read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise StudyError(f"{path} does not exist; run the stage that makes it first.") from None


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        StudyError: the file is missing or is not JSON.
    """
    try:
        return json.loads(read_text(path))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise StudyError(f"{path} is not valid JSON ({error}); delete it and run the workflow again.") from None


def read_json_lines(path: str | Path) -> list[Any]:
    """Read a file with one JSON value a line.

    Raises:
        StudyError: the file is missing, or a line is not JSON (the message names the line).
    """
    rows, number = [], 1
    try:
        # Split on line feeds alone: str.splitlines would also cut at U+2028 inside a text.
        lines = Path(path).read_text(encoding="utf-8").split("\n")
        for number, line in enumerate(lines, start=1):  # noqa: B007 - the message names it
            if line:
                rows.append(json.loads(line))
    except FileNotFoundError:
        raise StudyError(f"{path} does not exist; run the stage that makes it first.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise StudyError(f"{path}, line {number}: not valid JSON ({error}); delete it and run again.") from None
    return rows
