"""Lines of a byte stream, none of which can fill the memory."""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from scripts.dataset.entries import ROW_LIMIT

_BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line with its ending; ``whole`` is False when only its beginning is held because it is too long."""

    number: int
    data: bytes
    whole: bool


def lines(stream: BinaryIO) -> Iterator[Line]:
    """Yield lines that end in a line feed, numbered from 1, without a byte-order mark.

    Only the line feed ends a line: characters such as U+2028 are part of a text.
    """
    number = 0
    while data := stream.readline(ROW_LIMIT):
        number += 1
        whole = data.endswith(b"\n") or len(data) < ROW_LIMIT
        if not whole:
            while (rest := stream.readline(ROW_LIMIT)) and not rest.endswith(b"\n"):
                pass
        yield Line(number, data.removeprefix(_BOM) if number == 1 else data, whole)
