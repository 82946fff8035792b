"""Opens a file, or the single file inside a gzip, bzip2, xz or zip."""

import bz2
import errno
import gzip
import io
import lzma
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from scripts.foundation.errors import StudyError

ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_AS_CSV = "save its table as CSV in UTF-8 and name that file"
_UNPACK = "unpack it and name the file inside, or the folder of texts"
#: Files that people have tables in and that are not read, by their first bytes.
_OTHERS = (
    (b"\xd0\xcf\x11\xe0", f"an old Office document, such as an Excel workbook (.xls); {_AS_CSV}"),
    (b"SQLite f", f"an SQLite database; {_AS_CSV}"),
    (b"%PDF", "a PDF; name a file with a table of texts"),
    (b"ARROW1", "an Arrow or Feather file; save its table as Parquet and name that file"),
    (b"\x89HDF", "an HDF5 file; save its table as Parquet and name that file"),
    (b"\x28\xb5\x2f\xfd", f"packed with Zstandard; {_UNPACK}"),
    (b"7z\xbc\xaf", f"a 7z archive; {_UNPACK}"),
    (b"Rar!", f"a RAR archive; {_UNPACK}"),
)


class _Packer(NamedTuple):
    name: str
    magic: bytes
    endings: tuple[str, ...]
    opens: Callable[[BinaryIO], Any]


_PACKERS = (
    _Packer("gzip", b"\x1f\x8b", (".gz", ".gzip"), lambda raw: gzip.GzipFile(fileobj=raw)),
    _Packer("bzip2", b"BZh", (".bz2",), bz2.BZ2File),
    _Packer("xz", b"\xfd7zXZ\x00", (".xz",), lzma.LZMAFile),
)


@contextmanager
def unpacked(file: Path, path: str) -> Iterator[tuple[BinaryIO, BinaryIO, str, str]]:
    """Open the file and what is in it: (content, the file itself, compression, name of the content).

    Parquet content can be sought in.

    Raises:
        StudyError: it is damaged, or an archive of no or several files; ``path`` is what to call it.
    """
    with file.open("rb") as raw, ExitStack() as stack:
        head = raw.read(8)
        raw.seek(0)
        packer = next((each for each in _PACKERS if head.startswith(each.magic)), None)
        if packer is not None:
            content = stack.enter_context(packer.opens(raw))
            compression, member = packer.name, file.stem if file.suffix.lower() in packer.endings else file.name
        elif head.startswith(ZIP):
            content, member = _zip_member(raw, path, stack)
            compression = "zip"
        elif unreadable := next((what for magic, what in _OTHERS if head.startswith(magic)), None):
            raise StudyError(f"{path} is {unreadable}.")
        else:
            content, compression, member = raw, "none", file.name
        try:
            with _seekable(content, compression) as seekable:
                yield seekable, raw, compression, member
        except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, OSError) as error:
            # gzip and bz2 raise an OSError of their own, which has no number; a zip names places that can't be.
            if isinstance(error, OSError) and error.errno not in (errno.EINVAL, None):
                raise
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


def contents(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the files of an archive, without the folder and dot files that macOS adds to each."""
    return [
        each
        for each in archive.infolist()
        if not each.is_dir()
        and not each.filename.startswith("__MACOSX")
        and not Path(each.filename).name.startswith(".")
    ]


@contextmanager
def reading_zip(path: str, instead: str) -> Iterator[None]:
    """Say what is wrong with an archive that is read meanwhile.

    Args:
        path: what to call it.
        instead: what to do where Python can't unpack it.

    Raises:
        StudyError: it is damaged, or packed in a way that Python lacks.
    """
    try:
        yield
    except (zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, struct.error, ValueError, OverflowError) as error:
        raise StudyError(f"{path} is damaged ({error}); fetch it again.") from None
    except OSError as error:
        # Of a place that the archive names and that can't be; gzip and bz2 raise one without a number.
        if error.errno not in (errno.EINVAL, None):
            raise
        raise StudyError(f"{path} is damaged ({error}); fetch it again.") from None
    except (RuntimeError, NotImplementedError) as error:  # a password, or a compression that Python lacks
        raise StudyError(f"{path} can't be unpacked ({error}); {instead}.") from None


def _zip_member(raw: BinaryIO, path: str, stack: ExitStack) -> tuple[BinaryIO, str]:
    with reading_zip(path, "unpack it and name the file inside"):
        archive = stack.enter_context(zipfile.ZipFile(raw))
        members = contents(archive)
        if {"[Content_Types].xml", "content.xml"} & set(archive.namelist()):
            raise StudyError(f"{path} is an Office document, such as an Excel workbook; {_AS_CSV}.")
        if len(members) != 1:
            names = ", ".join(each.filename for each in members[:5]) or "none"
            raise StudyError(
                f"{path} must hold one file, and holds {len(members)} ({names}); unpack it and name the file."
            )
        return stack.enter_context(archive.open(members[0])), members[0].filename
