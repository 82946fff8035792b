"""Texts, a file each: the headline on the first line, the summary below; the folder of a text is its category."""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from scripts.dataset.entries import ROW_LIMIT, TOO_LARGE, Columns, Entry
from scripts.dataset.formats.encoding import has_mark
from scripts.dataset.formats.packing import ZIP, contents, reading_zip
from scripts.foundation.errors import StudyError

COLUMNS = Columns("summary", "headline")
_ENDINGS = {".txt", ".text"}
#: What stands beside texts and is none of them.
_ABOUT = ("readme", "licence", "license")


def is_text(name: str) -> bool:
    """Whether a file of this name is one of the texts."""
    path = PurePosixPath(name)
    return path.suffix.lower() in _ENDINGS and not path.stem.lower().startswith(_ABOUT) and path.name[0] != "."


def in_folder(folder: Path) -> list[str]:
    """Names of the texts in a folder and its subfolders, in order; links to folders are not followed."""
    found = []
    for root, _, names in os.walk(folder):
        for name in filter(is_text, names):
            path = Path(root) / name
            if path.is_file():  # a pipe would be waited for, and a link may lead to nothing
                found.append(path.relative_to(folder).as_posix())
    return sorted(found)


def in_archive(file: Path) -> list[str]:
    """Names of the texts in a zip file; none where it is something else, or holds other files or a single one."""
    with file.open("rb") as raw:
        if not raw.read(4).startswith(ZIP):
            return []
    try:
        with reading_zip(str(file), "unpack it"), zipfile.ZipFile(file) as archive:
            names = [each.filename for each in contents(archive)]
    except StudyError:
        return []  # said where it is unpacked
    texts = [name for name in names if is_text(name)]
    others = [name for name in names if name not in texts and not PurePosixPath(name).stem.lower().startswith(_ABOUT)]
    return sorted(texts) if len(texts) > 1 and not others else []


def digest(folder: Path) -> str:
    """SHA-256 of the names and contents of a folder's texts."""
    found = [[name, hashlib.sha256(_content(folder / name)).hexdigest()] for name in in_folder(folder)]
    return hashlib.sha256(json.dumps(found).encode("ascii")).hexdigest()


def read(place: Path, names: list[str], encoding: str, path: str) -> Iterator[Entry]:
    """Yield an entry a text.

    Args:
        place: the folder or zip file.
        names: of its texts.
        encoding: Python's name of the encoding of all of them.
        path: the place, for errors.

    Raises:
        StudyError: the archive is damaged.
    """
    if place.is_dir():
        for position, name in enumerate(names, start=1):
            yield _entry(position, name, _content(place / name), encoding)
        return
    with reading_zip(path, "unpack it and name the folder"), zipfile.ZipFile(place) as archive:
        for position, name in enumerate(names, start=1):
            with archive.open(name) as handle:
                data = handle.read(ROW_LIMIT + 1)
            yield _entry(position, name, data, encoding)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as handle:
            return handle.read(ROW_LIMIT + 1)
    except OSError as error:
        raise StudyError(f"dataset.file.path: {path} can't be read ({error.strerror}); correct the folder.") from None


def _entry(position: int, name: str, data: bytes, encoding: str) -> Entry:
    if len(data) > ROW_LIMIT:
        return Entry(position, raw=name, problem=TOO_LARGE)
    try:
        if data and not has_mark(data, encoding):
            raise UnicodeError  # else any bytes would be read as text of this machine's byte order
        text = data.decode(encoding).removeprefix("\ufeff")
    except UnicodeError:
        return Entry(position, {"file": name, "headline": data, "summary": data})  # bytes are no text
    lines = text.replace("\r\n", "\n").replace("\r", "\n").strip().split("\n")
    fields = {"file": name, "headline": lines[0], "summary": "\n".join(lines[1:])}
    folder = PurePosixPath(name).parent.name
    return Entry(position, fields | ({"category": folder} if folder else {}))
