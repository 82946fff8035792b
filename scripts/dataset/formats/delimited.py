"""CSV and its relatives: a header line, then one record a row; a quoted value may hold line breaks."""

import csv
from collections.abc import Iterator
from typing import BinaryIO

from scripts.dataset.cleaning import encodable
from scripts.dataset.entries import MALFORMED, NOT_UTF8, ROW_LIMIT, Columns, Entry
from scripts.dataset.formats.columns import once
from scripts.dataset.formats.csv_records import Record, Records
from scripts.foundation.errors import StudyError

_DELIMITERS = (",", "\t", ";", "|")


def read(stream: BinaryIO, columns: Columns, path: str, notes: list[str]) -> Iterator[Entry]:
    """Yield an entry a record; its position is the line on which it begins.

    Args:
        stream: the file's UTF-8.
        columns: where to find a row's parts.
        path: the file, for errors.
        notes: what a person should know of the file is added here.

    Raises:
        StudyError: the header can't be read, or has a configured column twice.
    """
    records = Records(stream)
    line = records.header
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
    once(path, header, (columns.summary, columns.headline, columns.category))
    for record in records.read(delimiter, len(header)):
        yield _entry(record, header)
    if 4 * records.like_rows > records.long:
        notes.append(
            f"{records.like_rows} of {records.long} values of several lines look like rows, the first at line "
            f"{records.first_like_rows}: check the quotes there"
        )


def _entry(record: Record, header: list[str]) -> Entry:
    if record.values is not None:
        return Entry(record.line, dict(zip(header, record.values, strict=True)), record.raw)
    bad_bytes = record.problem == MALFORMED and not encodable(record.raw)
    return Entry(record.line, raw=record.raw, problem=NOT_UTF8 if bad_bytes else record.problem)


def _delimiter(header: str, columns: Columns) -> str:
    """The delimiter with which the header holds most of the configured columns, or else most columns."""
    wanted = {columns.summary, columns.headline, columns.category}

    def merit(delimiter: str) -> tuple[int, int]:
        names = _names(header, delimiter)
        return len(wanted & set(names)), len(names)

    return max(_DELIMITERS, key=merit)


def _names(header: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([header], delimiter=delimiter), [])
    except csv.Error:
        return []
