"""A JSON document: rows inside an object, such as an API's answer, a table as pandas writes it, or indented objects."""

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from scripts.dataset.entries import MALFORMED, Columns, Entry
from scripts.dataset.fields import MISSING, names, pick
from scripts.dataset.formats.columns import missing_columns
from scripts.dataset.formats.json_tables import table
from scripts.foundation.errors import StudyError

#: A document is held in memory as a whole, several times its size.
_LIMIT = 2**28
_DEPTH = 5
_SHOWN = 10
_SPACE = re.compile(r"\s*")


def read(stream: BinaryIO, columns: Columns, rows: str, path: str) -> Iterator[Entry]:
    """Yield an entry a row.

    Args:
        stream: the document's UTF-8.
        columns: where to find a row's parts.
        rows: the dotted name of the list of rows; "" for the whole document.
        path: the file, for errors.

    Raises:
        StudyError: it is not JSON, or has no rows there; the message says what was found.
    """
    values = _values(_text(stream, path), path)
    if len(values) > 1 and not rows:
        found = values  # objects one after another, each on several lines
    else:
        found = [row for value in values for row in _rows(_at(value, rows, path), value, columns, rows, path)]
    for position, row in enumerate(found, start=1):
        if isinstance(row, dict):
            yield Entry(position, row)
        else:
            yield Entry(position, raw=json.dumps(row, ensure_ascii=False)[:1000], problem=MALFORMED)


def _text(stream: BinaryIO, path: str) -> str:
    data = stream.read(_LIMIT + 1)
    if len(data) > _LIMIT:
        raise StudyError(
            f"{path} is a JSON document of more than {_LIMIT // 2**20} MiB, too large to read as one; write its rows "
            "as JSON lines."
        )
    # Bad bytes become lone surrogates, which the cleaning finds in the one row that has them.
    return data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")


def _values(text: str, path: str) -> list[Any]:
    """Return the JSON values that stand one after another in the text."""
    decoder, values, at = json.JSONDecoder(), [], 0
    while (at := _SPACE.match(text, at).end()) < len(text):
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise StudyError(
                f"{path} is not JSON at line {error.lineno}, column {error.colno} ({error.msg}); correct it there."
            ) from None
        except (ValueError, RecursionError) as error:
            raise StudyError(f"{path} can't be read as JSON ({error}); write its rows as JSON lines.") from None
        values.append(value)
    return values


def _at(value: Any, rows: str, path: str) -> Any:
    if not rows:
        return value
    found = pick(value, rows) if isinstance(value, dict) else MISSING
    if found is MISSING:
        raise StudyError(f"dataset.file.rows: {path} has nothing at {rows}; {_found(value)}.")
    return found


def _rows(node: Any, document: Any, columns: Columns, rows: str, path: str) -> list[Any]:
    wanted = columns.text
    where = f"{path} at {rows}" if rows else path
    if isinstance(node, dict) and any(_is_cell(pick(node, name)) for name in wanted):
        return [node]
    found = table(node, wanted, where)
    if found is not None:
        return found
    missing = [name for name in dict.fromkeys(wanted) if isinstance(node, dict) and pick(node, name) is MISSING]
    if rows or not missing or _lists(node):
        raise StudyError(
            f"{where} is {_kind(node)}, not a list of rows; {_found(document)}: set dataset.file.rows to the list that "
            "holds the rows."
        )
    raise StudyError(missing_columns(path, missing, list(names(node))))


def _is_cell(value: Any) -> bool:
    return value is not MISSING and not isinstance(value, dict | list)


def _found(document: Any) -> str:
    """Say which lists of objects a document has."""
    if not isinstance(document, dict):
        return f"the document is {_kind(document)}"
    lists = _lists(document)
    if not lists:
        return f"it has {', '.join(list(names(document))[:_SHOWN]) or 'nothing'}, and no list of objects"
    shown = ", ".join(f"{name} ({count} object{'s' if count != 1 else ''})" for name, count in lists[:_SHOWN])
    return f"it has the lists {shown}" if len(lists) > 1 else f"it has the list {shown}"


def _lists(node: dict[str, Any], prefix: str = "", depth: int = _DEPTH) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for name, value in node.items():
        if isinstance(value, list) and any(isinstance(each, dict) for each in value):
            found.append((f"{prefix}{name}", len(value)))
        elif isinstance(value, dict) and depth > 1:
            found += _lists(value, f"{prefix}{name}.", depth - 1)
    return found


def _kind(value: Any) -> str:
    kinds = ((dict, "one JSON object"), (list, "a list without objects"), (str, "a text"), (bool, "true or false"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "a number" if value is not None else "null")
