"""A file of the user's: JSON lines, a JSON array, CSV or Parquet, as it is or inside gzip or zip."""

import gzip
import hashlib
import io
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from scripts.dataset.entries import Columns, Entry, Source
from scripts.dataset.sources import json_array, json_lines, parquet, table
from scripts.foundation.errors import StudyError

_PEEK = 4096
_TABLE_ENDINGS = {".csv", ".tsv", ".tab", ".psv"}
_LINE_ENDINGS = {".jsonl", ".ndjson"}


def open_file(path: str, columns: Columns) -> Source:
    """Open a file as a source.

    Raises:
        StudyError: the file is missing, can't be read, is empty, or has a form that is not known.
    """
    file = Path(path).expanduser()
    try:
        with file.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
            size = handle.tell()
    except FileNotFoundError:
        raise StudyError(f"dataset.file.path: {path} does not exist; name an existing file.") from None
    except IsADirectoryError:
        raise StudyError(f"dataset.file.path: {path} is a directory; name one file.") from None
    except PermissionError:
        raise StudyError(f"dataset.file.path: {path} may not be read; change its permissions.") from None
    with _stream(file, path) as (stream, _, compression, member):
        form = _form(stream, member, path)
    origin = {"sha256": digest, "bytes": size, "format": form, "compression": compression}
    unit = "line" if form in ("json_lines", "csv") else "row"
    return Source(path, _entries(file, path, form, columns, size), origin, unit, columns)


def _entries(file: Path, path: str, form: str, columns: Columns, size: int) -> Iterator[Entry]:
    with (
        _stream(file, path) as (stream, raw, _, _),
        tqdm(total=size, unit="B", unit_scale=True, desc="reading", mininterval=1) as bar,
    ):
        for count, entry in enumerate(_rows(stream, form, columns, path)):
            yield entry
            if count % 1000 == 0:
                bar.update(raw.tell() - bar.n)
        bar.update(size - bar.n)


def _rows(stream: BinaryIO, form: str, columns: Columns, path: str) -> Iterator[Entry]:
    match form:
        case "json_lines":
            return json_lines.read(stream)
        case "json_array":
            return json_array.read(stream)
        case "csv":
            return table.read(stream, columns)
        case _:
            return parquet.read(stream, columns, path)


@contextmanager
def _stream(file: Path, path: str) -> Iterator[tuple[BinaryIO, BinaryIO, str, str]]:
    """Open the file and what is in it: (content, the file itself, compression, name of the content).

    The content can be peeked at, and, for Parquet, has to be a file that can be sought in.
    """
    with file.open("rb") as raw, ExitStack() as stack:
        head = raw.read(4)
        raw.seek(0)
        if head.startswith(b"\x1f\x8b"):
            content = stack.enter_context(gzip.GzipFile(fileobj=raw))
            compression, member = "gzip", file.name.removesuffix(".gz").removesuffix(".GZ")
        elif head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            content, member = _zip_member(raw, path, stack)
            compression = "zip"
        else:
            content, compression, member = raw, "none", file.name
        try:
            with _seekable(content, compression) as seekable:
                yield seekable, raw, compression, member
        except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
            raise StudyError(f"{path} is damaged ({error}); fetch it again.") from None


@contextmanager
def _seekable(content: BinaryIO, compression: str) -> Iterator[BinaryIO]:
    if compression == "none":
        yield content
        return
    buffered = io.BufferedReader(content, 2**18)
    if not buffered.peek(4).startswith(b"PAR1"):
        yield buffered
        return
    # A Parquet file has its index at the end, so it is unpacked before it is read.
    with tempfile.TemporaryFile() as unpacked:
        shutil.copyfileobj(buffered, unpacked, 2**20)
        unpacked.seek(0)
        yield unpacked


def _zip_member(raw: BinaryIO, path: str, stack: ExitStack) -> tuple[BinaryIO, str]:
    try:
        archive = stack.enter_context(zipfile.ZipFile(raw))
    except zipfile.BadZipFile as error:
        raise StudyError(f"{path} is damaged ({error}); fetch it again.") from None
    # macOS adds a folder and dot files of its own to every archive.
    members = [
        each
        for each in archive.infolist()
        if not each.is_dir()
        and not each.filename.startswith("__MACOSX")
        and not Path(each.filename).name.startswith(".")
    ]
    if len(members) != 1:
        names = ", ".join(each.filename for each in members[:5]) or "none"
        raise StudyError(f"{path} must hold one file, and holds {len(members)} ({names}); unpack it and name the file.")
    try:
        return stack.enter_context(archive.open(members[0])), members[0].filename
    except (RuntimeError, NotImplementedError) as error:  # a password, or a compression that Python lacks
        raise StudyError(f"{path} can't be unpacked ({error}); unpack it and name the file inside.") from None


def _form(stream: BinaryIO, member: str, path: str) -> str:
    """Tell the format by the content, and where that could be several, by the name's ending."""
    head = stream.read(_PEEK)
    ending = os.path.splitext(member)[1].lower()
    if not head:
        raise StudyError(f"{path} is empty; name a file with rows.")
    if head.startswith(b"PAR1"):
        return "parquet"
    if ending == ".parquet":
        raise StudyError(f"{path} is not a Parquet file, though named like one; fetch it again.")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise StudyError(f"{path} is UTF-16 text; save it as UTF-8.")
    if ending in _TABLE_ENDINGS:
        return "csv"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start == b"[" and ending not in _LINE_ENDINGS:
        return "json_array"
    if start == b"{" or ending in _LINE_ENDINGS or ending == ".json":
        return "json_lines"
    raise StudyError(
        f"{path} is of no known format; it must be JSON lines (.jsonl), a JSON array (.json), CSV (.csv) or Parquet "
        "(.parquet), as it is or in a .gz or .zip file."
    )
