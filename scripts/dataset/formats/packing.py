"""Opens a file, or the single file inside a gzip or zip."""

import gzip
import io
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from scripts.foundation.errors import StudyError


@contextmanager
def unpacked(file: Path, path: str) -> Iterator[tuple[BinaryIO, BinaryIO, str, str]]:
    """Open the file and what is in it: (content, the file itself, compression, name of the content).

    Parquet content can be sought in.

    Raises:
        StudyError: it is damaged, or an archive of no or several files; ``path`` is what to call it.
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
    if "[Content_Types].xml" in archive.namelist():
        raise StudyError(f"{path} is an Office document; save the table as CSV in UTF-8 and name that file.")
    if len(members) != 1:
        names = ", ".join(each.filename for each in members[:5]) or "none"
        raise StudyError(f"{path} must hold one file, and holds {len(members)} ({names}); unpack it and name the file.")
    try:
        return stack.enter_context(archive.open(members[0])), members[0].filename
    except (RuntimeError, NotImplementedError) as error:  # a password, or a compression that Python lacks
        raise StudyError(f"{path} can't be unpacked ({error}); unpack it and name the file inside.") from None
