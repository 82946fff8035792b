"""Parquet, read in batches; only the columns that are needed."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from scripts.dataset.entries import Columns, Entry
from scripts.dataset.fields import holder
from scripts.dataset.formats.columns import need_columns
from scripts.foundation.errors import StudyError

_BATCH_ROWS = 2000


def read(stream: BinaryIO, columns: Columns, name: str) -> Iterator[Entry]:
    """Yield an entry a row.

    Raises:
        StudyError: the file is damaged, has a column twice, or lacks the columns for summary and headline.
    """
    import pyarrow  # imported here: only this source needs it, and it is slow to import
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(stream)
        present = file.schema_arrow.names
        need_columns(name, present, columns)
        position = 0
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=wanted(columns, present)):
            values = [as_python(batch.column(column)) for column in batch.schema.names]
            keys = keyed(columns, present, batch.schema.names)
            for row in zip(*values, strict=True):
                position += 1
                yield Entry(position, dict(zip(keys, row, strict=True)))
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise StudyError(f"{name} is damaged ({said}); fetch it again.") from None


def wanted(columns: Columns, present: list[str]) -> list[str]:
    """Return which of a table's columns hold the configured ones; of nested ones the outermost."""
    holders = (holder(each, present) for each in columns.all())
    return list(dict.fromkeys(each for each in holders if each is not None))


def keyed(columns: Columns, present: list[str], names: list[str]) -> list[Any]:
    """Return what a row's values are called: the names, or the columns' positions where those tell them."""
    return [present.index(name) + 1 for name in names] if columns.by_position else names


def as_python(array: Any) -> list[Any]:
    """Convert a column to Python values; what has no Python value is left to the cleaning, which rejects such rows.

    Text with invalid UTF-8 stays bytes; a value that Python can't hold, such as a date after the year 9999, becomes an
    :class:`Unreadable`.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    try:
        return array.to_pylist()
    except UnicodeDecodeError:
        if not _is_text(array.type):
            return [_value(each) for each in array]
        wide = pa.types.is_large_string(array.type)
        return [_decoded(value) for value in array.cast(pa.large_binary() if wide else pa.binary()).to_pylist()]
    except (ValueError, OverflowError):
        return [_value(each) for each in array]


class Unreadable:
    """A value of a type that Python can't hold."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __repr__(self) -> str:
        return f"<{self._kind} out of range>"


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):  # UnicodeDecodeError is a ValueError
        return Unreadable(str(scalar.type))


def _decoded(value: bytes | None) -> str | bytes | None:
    try:
        return value if value is None else value.decode("utf-8")
    except UnicodeDecodeError:
        return value
