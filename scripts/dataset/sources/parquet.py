"""Parquet, read in batches; only the columns that are needed."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from scripts.dataset.entries import Columns, Entry
from scripts.foundation.errors import StudyError

_BATCH_ROWS = 2000


def read(stream: BinaryIO, columns: Columns, name: str) -> Iterator[Entry]:
    """Yield an entry a row.

    Raises:
        StudyError: the file is damaged, or has not the columns for summary and headline.
    """
    import pyarrow  # imported here: only this source needs it, and it is slow to import
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(stream)
        present = file.schema_arrow.names
        need_columns(name, present, columns)
        wanted = [
            each for each in dict.fromkeys((columns.summary, columns.headline, columns.category)) if each in present
        ]
        position = 0
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=wanted):
            values = [as_python(batch.column(column)) for column in batch.schema.names]
            for row in zip(*values, strict=True):
                position += 1
                yield Entry(position, dict(zip(batch.schema.names, row, strict=True)))
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise StudyError(f"{name} is damaged ({str(error).splitlines()[0]}); fetch it again.") from None


def need_columns(name: str, present: list[str], columns: Columns) -> None:
    """Check that a table with a known header has a summary and a headline.

    Raises:
        StudyError: it has not; the message names the columns that there are.
    """
    missing = [column for column in dict.fromkeys((columns.summary, columns.headline)) if column not in present]
    if missing:
        raise StudyError(missing_columns(name, missing, present))


def missing_columns(name: str, missing: list[str], present: list[str]) -> str:
    """Return the sentence for columns that are not there."""
    has = ", ".join(present[:30]) + (", …" if len(present) > 30 else "") if present else "none"
    word = "column" if len(missing) == 1 else "columns"
    return f"{name} has no {word} {' and '.join(missing)}; it has {has}; set the columns of the source to these."


def as_python(array: Any) -> list[Any]:
    """Convert a column to Python values; text with invalid UTF-8 stays bytes, which the cleaning rejects row by row."""
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    try:
        return array.to_pylist()
    except UnicodeDecodeError:
        wide = pa.types.is_large_string(array.type)
        return [_decoded(value) for value in array.cast(pa.large_binary() if wide else pa.binary()).to_pylist()]


def _decoded(value: bytes | None) -> str | bytes | None:
    try:
        return value if value is None else value.decode("utf-8")
    except UnicodeDecodeError:
        return value
