"""A JSON array of objects, read one element at a time, so that neither a big file nor a broken element stops it."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import BinaryIO

from scripts.dataset.entries import MALFORMED, NOT_UTF8, ROW_LIMIT, TOO_LARGE, Entry

_CHUNK = 2**18
_SPACE = re.compile(r"[ \t\r\n]*")
#: Where the next element probably begins, after a broken one: an object's end, a comma, an object's beginning.
_NEXT = re.compile(r"\}[ \t\r\n]*,[ \t\r\n]*(?=\{)")
#: An error so near the end of what was read may come from what was not.
_TAIL = 16


class _Window:
    """The part of the text that is being looked at: ``text[at:]`` is still to be read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        # Bad bytes become lone surrogates, which the cleaning finds in the one row that has them.
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self.text = ""
        self.at = 0
        self.ended = False

    def more(self) -> None:
        """Read as much again as is held, so that a long element is not decoded again and again in small steps."""
        data = self._stream.read(max(_CHUNK, len(self.text) - self.at))
        self.ended = not data
        self.text = self.text[self.at :] + self._decoder.decode(data, final=self.ended)
        self.at = 0

    def skip_space(self) -> str:
        """Go to the next character that is not white space and return it; "" at the end."""
        while True:
            self.at = _SPACE.match(self.text, self.at).end()
            if self.at < len(self.text):
                return self.text[self.at]
            if self.ended:
                return ""
            self.more()


def read(stream: BinaryIO) -> Iterator[Entry]:
    """Yield an entry an element; a broken element is one entry, and reading goes on at the next object."""
    window = _Window(stream)
    if window.skip_space() == "\ufeff":
        window.at += 1
        window.skip_space()
    window.at += 1  # the opening bracket, by which the format was recognised
    position = 0
    while (char := window.skip_space()) and char != "]":
        position += 1
        yield _element(window, position)
        if window.skip_space() == ",":
            window.at += 1
    if not char:
        yield Entry(position + 1, raw="the file ends before the array does", problem=MALFORMED)


def _element(window: _Window, position: int) -> Entry:
    """Read one element and move behind it."""
    decoder = json.JSONDecoder()
    while True:
        held = len(window.text) - window.at
        try:
            value, end = decoder.raw_decode(window.text, window.at)
        except json.JSONDecodeError as error:
            cut = error.pos >= len(window.text) - _TAIL or error.msg.startswith("Unterminated string")
            if window.ended or not cut:
                return _broken(window, position, MALFORMED)
        except (ValueError, RecursionError):
            return _broken(window, position, MALFORMED)
        else:
            # A number may go on in what was not read yet; whatever has another character behind it is complete.
            if end < len(window.text) or window.ended:
                raw = window.text[window.at : end]
                window.at = end
                return _entry(position, value, raw)
        if held > ROW_LIMIT:
            return _broken(window, position, TOO_LARGE)
        window.more()


def _entry(position: int, value: object, raw: str) -> Entry:
    if not isinstance(value, dict):
        return Entry(position, raw=raw, problem=MALFORMED)
    return Entry(position, value, raw)


def _broken(window: _Window, position: int, problem: str) -> Entry:
    """Move to the next object, or to the end; return the entry for what is left out."""
    raw = window.text[window.at : window.at + 1000]
    while True:
        found = _NEXT.search(window.text, window.at)
        if found:
            # Behind the comma, at the next object: the caller passes a comma if it meets one, and needs none.
            window.at = found.end()
            break
        if window.ended:
            window.at = _closing(window)
            break
        # Keep a little: the separator may lie across the border.
        window.at = max(window.at, len(window.text) - _TAIL)
        window.more()
    if any("\udc80" <= char <= "\udcff" for char in raw):
        problem = NOT_UTF8
    return Entry(position, raw=raw, problem=problem)


def _closing(window: _Window) -> int:
    """Where the array's closing bracket is, if the text ends with one; else the end."""
    end = len(window.text.rstrip())
    return end - 1 if end > window.at and window.text[end - 1] == "]" else len(window.text)
