"""JSON lines: one object a line."""

import json
from collections.abc import Iterator
from typing import BinaryIO

from scripts.dataset.entries import MALFORMED, NOT_UTF8, TOO_LARGE, Entry
from scripts.dataset.fields import numbered
from scripts.dataset.formats.lines import lines


def parse_object(text: str) -> dict | None:
    """Return the JSON object in ``text``, or None if there is none. Of a key given twice the last value counts."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # not JSON, a number with thousands of digits, or nested too deep
        return None
    return value if isinstance(value, dict) else None


def _row(text: str, by_position: bool) -> dict | None:
    """Return the object of a line, or the values of a list by position."""
    if by_position and text.startswith("["):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return numbered(value)
    return parse_object(text)


def read(stream: BinaryIO, by_position: bool = False) -> Iterator[Entry]:
    """Yield an entry a line, an object or, where columns are told by position, a list; blank lines are no rows."""
    for line in lines(stream):
        if not line.whole:
            yield Entry(line.number, raw=line.data, problem=TOO_LARGE)
            continue
        data = line.data.strip()
        if not data:
            continue
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            yield Entry(line.number, raw=data, problem=NOT_UTF8)
            continue
        fields = _row(text, by_position)
        yield Entry(line.number, fields, data, None if fields is not None else MALFORMED)
