"""CSV and its relatives: a header line, then one record a row; a quoted value may hold line breaks."""

import csv
from collections.abc import Iterator
from typing import BinaryIO

from scripts.dataset.entries import MALFORMED, NOT_UTF8, TOO_LARGE, Columns, Entry
from scripts.dataset.sources.lines import lines

_DELIMITERS = (",", "\t", ";", "|")


class _Feed:
    """Lines for the csv module, and where the record that it reads began."""

    def __init__(self, stream: BinaryIO) -> None:
        self._lines = lines(stream)
        self.number = 0
        self.raw: list[str] = []
        self.cut = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number = line.number
        self.cut = self.cut or not line.whole
        # Bad bytes become lone surrogates, which the cleaning finds in the one row that has them.
        text = line.data[: None if line.whole else 1000].decode("utf-8", "surrogateescape")
        self.raw.append(text)
        return text

    def begin(self) -> None:
        self.raw.clear()
        self.cut = False


def read(stream: BinaryIO, columns: Columns) -> Iterator[Entry]:
    """Yield an entry a record; its position is the line on which it begins."""
    feed = _Feed(stream)
    first = next(feed, "")
    delimiter = _delimiter(first, columns)
    header = next(csv.reader([first], delimiter=delimiter), [])
    records = csv.reader(feed, delimiter=delimiter)
    while True:
        feed.begin()
        begun = feed.number + 1
        try:
            record = next(records)
        except StopIteration:
            return
        except csv.Error:  # a value longer than the module takes, or a carriage return on its own
            yield Entry(begun, raw="".join(feed.raw)[:1000], problem=TOO_LARGE if feed.cut else MALFORMED)
            continue
        if record:
            yield _entry(begun, header, record, feed)


def _entry(position: int, header: list[str], record: list[str], feed: _Feed) -> Entry:
    raw = "".join(feed.raw)[:1000]
    if feed.cut:
        return Entry(position, raw=raw, problem=TOO_LARGE)
    if len(record) != len(header):
        bad_bytes = any("\udc80" <= char <= "\udcff" for char in raw)
        return Entry(position, raw=raw, problem=NOT_UTF8 if bad_bytes else MALFORMED)
    return Entry(position, dict(zip(header, record, strict=True)), raw)


def _delimiter(header: str, columns: Columns) -> str:
    """The delimiter with which the header holds most of the columns that are asked for, or else most columns."""
    wanted = {columns.summary, columns.headline, columns.category}

    def merit(delimiter: str) -> tuple[int, int]:
        names = next(csv.reader([header], delimiter=delimiter), [])
        return len(wanted & set(names)), len(names)

    return max(_DELIMITERS, key=merit)
