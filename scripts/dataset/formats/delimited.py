"""CSV and its relatives: a header line, if any, then one record a row; a quoted value may hold line breaks."""

import csv
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

from scripts.dataset.cleaning import encodable
from scripts.dataset.entries import MALFORMED, NOT_UTF8, ROW_LIMIT, Columns, Entry
from scripts.dataset.formats.columns import once
from scripts.dataset.formats.csv_records import Record, Records
from scripts.foundation.errors import StudyError

_DELIMITERS = (",", "\t", ";", "|")
#: Of a table without a header.
_LINES_LOOKED_AT = 50


def read(stream: BinaryIO, columns: Columns, path: str, notes: list[str], is_tsv: bool = False) -> Iterator[Entry]:
    """Yield an entry a record; its position is the line on which it begins.

    Args:
        stream: the file's UTF-8.
        columns: where to find a row's parts.
        path: the file, for errors.
        notes: what a person should know of the file is added here.
        is_tsv: whether its name says that tabs part its columns.

    Raises:
        StudyError: the header can't be read, or has a configured column twice.
    """
    records = Records(stream)
    if columns.by_position:
        lines = [line.data.decode("utf-8", "surrogateescape") for line in records.ahead(_LINES_LOOKED_AT)]
        delimiter, width = _layout(lines, columns, is_tsv)
        header: list[Any] = list(range(1, width + 1))
        beyond = [each for each in columns.all() if isinstance(each, int) and each > width]
        if lines and beyond:
            raise StudyError(
                f"{path} has {width} column{'s' if width != 1 else ''}, so dataset.file.columns can't be "
                f"{beyond[0]}; columns are counted from 1."
            )
    else:
        line = records.take_header()
        if line is None:
            return
        if not line.whole:
            raise StudyError(
                f"{path} has a header of more than {ROW_LIMIT // 2**20} MiB; its first line must name columns."
            )
        first = line.data.decode("utf-8", "surrogateescape")
        delimiter = _delimiter(first, columns)
        header = _names(first, delimiter)
        if not header:
            raise StudyError(f"{path} has a header that can't be read; its first line must name the columns.")
        once(path, header, columns.all())
    for record in records.read(delimiter, len(header)):
        yield _entry(record, header)
    if 4 * records.like_rows > records.long:
        notes.append(
            f"{records.like_rows} of {records.long} values of several lines look like rows, the first at line "
            f"{records.first_like_rows}: check the quotes there"
        )


def _entry(record: Record, header: list[Any]) -> Entry:
    if record.values is not None:
        return Entry(record.line, dict(zip(header, record.values, strict=True)), record.raw)
    bad_bytes = record.problem == MALFORMED and not encodable(record.raw)
    return Entry(record.line, raw=record.raw, problem=NOT_UTF8 if bad_bytes else record.problem)


def _layout(lines: list[str], columns: Columns, is_tsv: bool) -> tuple[str, int]:
    """The delimiter of a table without a header and its number of columns: what most lines agree on, with enough."""
    least = max(each for each in columns.all() if isinstance(each, int))

    def merit(delimiter: str) -> tuple[int, float, bool]:
        width, share = _widths(lines, delimiter)
        return min(width, least), share, is_tsv and delimiter == "\t"

    # A tab, a bar or a semicolon stands in texts more rarely than a comma, so of equals it is the delimiter.
    delimiter = max(("\t", "|", ";", ","), key=merit)
    return delimiter, _widths(lines, delimiter)[0]


def _widths(lines: list[str], delimiter: str) -> tuple[int, float]:
    """The most frequent number of values of a line, and the share of lines that have it."""
    try:
        found = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter) if row)
    except csv.Error:
        found = Counter(line.count(delimiter) + 1 for line in lines)
    width, count = max(found.items(), key=lambda pair: (pair[1], pair[0]), default=(0, 0))
    return width, count / max(1, found.total())


def _delimiter(header: str, columns: Columns) -> str:
    """The delimiter with which the header holds most of the configured columns, or else most columns."""
    wanted = set(columns.all())

    def merit(delimiter: str) -> tuple[int, int]:
        names = _names(header, delimiter)
        return len(wanted & set(names)), len(names)

    return max(_DELIMITERS, key=merit)


def _names(header: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([header], delimiter=delimiter), [])
    except csv.Error:
        return []
