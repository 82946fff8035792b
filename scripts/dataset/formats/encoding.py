"""Converts text of any encoding and line end to UTF-8 with line feeds."""

import codecs
import io
from typing import BinaryIO

from scripts.dataset.formats.alphabets import is_latin_page, latin_page
from scripts.foundation.errors import StudyError

UTF8 = "utf-8"
#: Enough to tell an encoding by, and not so much that it takes long.
SAMPLE = 2**17
_CHUNK = 2**18
#: What files of today are in: by its bytes alone a short text could as well be of a code page of DOS.
_IN_USE = [
    "utf_8",
    *(f"cp{page}" for page in range(1250, 1258)),  # not Vietnamese 1258, which all of Latin script could be
    *["cp874", "shift_jis", "euc_jp", "euc_kr", "gb18030", "big5", "koi8_r"],
]
#: Share of zeros among every other byte from which text is UTF-16.
_ZEROS = 0.4
#: A byte that no UTF-8 text has: it marks what could not be decoded, so that the row that holds it is rejected.
_MARK = "udaciheadline_mark"
#: Text encodings by name only: they are of host names, or of source code.
_NOT_FOR_FILES = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf_7"}
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

codecs.register_error(_MARK, lambda error: ("\udcff", error.end))


def canonical(name: str) -> str:
    """Return Python's name of an encoding.

    Raises:
        StudyError: there is none of this name, or it is not one of text files.
    """
    try:
        "a".encode(name)  # refuses codecs that are not of text
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        found = None
    if found is None or found.replace("-", "_") in _NOT_FOR_FILES:
        raise StudyError(
            f"dataset.file.encoding: {name!r} is no known text encoding; use a name such as utf-8, cp1252 or utf-16."
        )
    return found


def marked(head: bytes) -> str | None:
    """Return the encoding that a file's byte-order mark names, or its zero bytes betray, if that is not UTF-8."""
    found = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if found is not None:
        return found
    even, odd = (head[start:4096:2].count(0) / max(1, len(head[start:4096:2])) for start in (0, 1))
    if max(even, odd) < _ZEROS or min(even, odd) > _ZEROS / 4:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def need_mark(head: bytes, name: str, path: str) -> None:
    """Check that text of an encoding that is told by its byte-order mark alone has one.

    Raises:
        StudyError: it has none; the sentence says what the text is likely to be in.
    """
    if has_mark(head, name):
        return
    try:
        codecs.getincrementaldecoder(UTF8)().decode(head)
        is_utf8 = b"\0" not in head
    except UnicodeDecodeError:
        is_utf8 = False
    found = marked(head)
    if found is not None:
        advised = f"by its zero bytes it is most likely {found}: set dataset.file.encoding to {found}"
    else:
        advised = "its bytes are UTF-8: leave dataset.file.encoding out" if is_utf8 else advice(head)
    raise StudyError(
        f"{path} does not begin with a byte-order mark, without which it can't be read as {name.upper()}; {advised}."
    )


def has_mark(head: bytes, name: str) -> bool:
    """Whether some text has the byte-order mark that its encoding must begin with, if that must with any."""
    marks = tuple(mark for mark, of in _MARKS if of == name)
    return not marks or head.startswith(marks)


def likely(sample: bytes) -> str | None:
    """Return the encoding that some bytes of text are most likely of; None where none is, or where it is UTF-8."""
    from charset_normalizer import from_bytes  # imported where it is needed: few files are of another encoding

    best = from_bytes(sample[:SAMPLE], cp_isolation=_IN_USE).best()
    if best is None or best.encoding in ("ascii", "utf_8"):
        return None
    # Where the bytes read the same in it, as most of Western Europe's do, take the one that is by far the most common.
    found = "cp1252" if "cp1252" in best.could_be_from_charset else best.encoding
    return latin_page(sample[:SAMPLE]) if is_latin_page(found) else found


def decoded(head: bytes, name: str) -> bytes:
    """Return the UTF-8 of the beginning of a text; a character that is cut off at its end is left out."""
    if name == UTF8:
        return head
    return codecs.getincrementaldecoder(name)(_MARK).decode(head).encode(UTF8, "surrogateescape")


def as_utf8(stream: BinaryIO, name: str, carriage_returns: bool) -> BinaryIO:
    """Return a stream of UTF-8 with line feeds; of what can't be decoded the bytes are no UTF-8 either."""
    if name != UTF8:
        stream = io.BufferedReader(_Recoded(stream, name), _CHUNK)
    return io.BufferedReader(_LineFeeds(stream), _CHUNK) if carriage_returns else stream


def advice(sample: bytes) -> str:
    """Return what to do about text that is not UTF-8, with the encoding that it is likely of."""
    name = likely(sample)
    if name is None:
        return "set dataset.file.encoding to the encoding that it was saved in"
    return (
        f"by its bytes it is most likely {name} ({_read_as(sample, name)}): set dataset.file.encoding to {name}, or "
        "save it as UTF-8"
    )


def _read_as(sample: bytes, name: str) -> str:
    """A few words of the text as they read in an encoding, around the first that is not ASCII."""
    text = " ".join(sample[:SAMPLE].decode(name, "replace").split())
    at = next((at for at, char in enumerate(text) if not char.isascii()), 0)
    start = text.rfind(" ", 0, max(0, at - 10)) + 1
    return f"there it reads “{text[start : start + 40].strip()}…”"


class _Recoded(io.RawIOBase):
    """The UTF-8 bytes of a byte stream of another encoding."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)(_MARK)
        self._ready = b""
        self._ended = False

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: bytearray) -> int:
        """Fill the buffer; return how many bytes were put into it, 0 at the end."""
        while not self._ready and not self._ended:
            data = self._stream.read(_CHUNK)
            self._ended = not data
            self._ready = self._decoder.decode(data, final=self._ended).encode(UTF8, "surrogateescape")
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


class _LineFeeds(io.RawIOBase):
    """A byte stream whose lines end in carriage returns alone, with line feeds in their place."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: bytearray) -> int:
        """Fill the buffer; return how many bytes were put into it, 0 at the end."""
        data = self._stream.read(len(buffer)).replace(b"\r", b"\n")
        buffer[: len(data)] = data
        return len(data)
