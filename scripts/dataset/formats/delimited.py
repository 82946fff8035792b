"""CSV and its relatives: a header line, if any, then one record a row; a quoted value may hold line breaks."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from scripts.dataset.cleaning import encodable
from scripts.dataset.entries import MALFORMED, NOT_UTF8, ROW_LIMIT, Columns, Entry
from scripts.dataset.formats import tables
from scripts.dataset.formats.columns import once
from scripts.dataset.formats.csv_records import Record, Records
from scripts.dataset.formats.lines import Line
from scripts.foundation.errors import StudyError


def read(stream: BinaryIO, columns: Columns, path: str, notes: list[str], is_tsv: bool = False) -> Iterator[Entry]:
    """Yield an entry a record; its position is the line on which it begins.

    Args:
        stream: the file's UTF-8.
        columns: where to find a row's parts.
        path: the file, for errors.
        notes: what a person should know of the file is added here.
        is_tsv: whether its name says that tabs part its columns.

    A first line such as ``sep=;``, as Excel reads and writes, says what parts the columns and is no row.

    Raises:
        StudyError: the header can't be read, or has a configured column twice.
    """
    records = Records(stream)
    said = next((tables.said_delimiter(_text(line)) for line in records.ahead(1)), None)
    if said:
        records.take_header()
    if columns.by_position:
        lines = [_text(line) for line in records.ahead(tables.LOOKED_AT)]
        delimiter, width = (said, tables.widths(lines, said)[0]) if said else _layout(lines, columns, is_tsv)
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
        first = _text(line)
        delimiter = said or _delimiter(first, columns)
        header = tables.names(first, delimiter)
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


def _text(line: Line) -> str:
    return line.data.decode("utf-8", "surrogateescape")


def _layout(lines: list[str], columns: Columns, is_tsv: bool) -> tuple[str, int]:
    """The delimiter of a table without a header and its number of columns: what most lines agree on, with enough."""
    least = max(each for each in columns.all() if isinstance(each, int))

    def merit(delimiter: str) -> tuple[int, float, bool]:
        width, share = tables.widths(lines, delimiter)
        return min(width, least), share, is_tsv and delimiter == "\t"

    # A tab, a bar or a semicolon stands in texts more rarely than a comma, so of equals it is the delimiter.
    delimiter = max(("\t", "|", ";", ","), key=merit)
    return delimiter, tables.widths(lines, delimiter)[0]


def _delimiter(header: str, columns: Columns) -> str:
    """The delimiter with which the header holds most of the configured columns, or else most columns."""
    wanted = set(columns.all())

    def merit(delimiter: str) -> tuple[int, int]:
        names = tables.names(header, delimiter)
        return len(wanted & set(names)), len(names)

    return max(tables.DELIMITERS, key=merit)
