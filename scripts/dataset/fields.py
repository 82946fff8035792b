"""Values of a row by column name; a dotted name leads into nested objects, such as ``article.title``."""

from collections.abc import Iterator, Mapping
from typing import Any

MISSING = object()
#: Deeper than rows are nested for a reason.
_DEPTH = 6


def pick(fields: Mapping[Any, Any], name: str | int) -> Any:
    """Return the value of a column, or ``MISSING``; a column of the very name goes before a nested one."""
    if name in fields:
        return fields[name]
    if isinstance(name, int):
        return MISSING
    for at, char in enumerate(name):
        if char == "." and isinstance(inner := fields.get(name[:at]), Mapping):
            found = pick(inner, name[at + 1 :])
            if found is not MISSING:
                return found
    return MISSING


def numbered(values: list[Any]) -> dict[int, Any]:
    """Return the values of a row without names by their positions, from 1."""
    return dict(enumerate(values, start=1))


def holder(name: str | int, columns: list[str]) -> str | None:
    """Return which of a table's columns holds the column ``name``: itself, or the one that it is nested in."""
    if isinstance(name, int):
        return columns[name - 1] if name <= len(columns) else None
    parts = name.split(".")
    heads = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((head for head in heads if head in columns), None)


def names(fields: Mapping[str, Any], prefix: str = "", depth: int = _DEPTH) -> Iterator[str]:
    """Yield the names of all columns, those of nested objects dotted."""
    for name, value in fields.items():
        if isinstance(value, Mapping) and value and depth > 1:
            yield from names(value, f"{prefix}{name}.", depth - 1)
        else:
            yield f"{prefix}{name}"
