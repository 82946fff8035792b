"""Shapes in which a table stands in JSON: a list of objects, and what pandas' ``to_json`` and ``to_dict`` write."""

from typing import Any

from scripts.dataset.fields import MISSING, numbered, pick
from scripts.dataset.formats.columns import once
from scripts.foundation.errors import StudyError


def table(node: Any, wanted: tuple[str | int, ...], name: str) -> list[Any] | None:
    """Return the rows of a table, objects but for broken ones; None where the value is no table.

    Args:
        node: the JSON value.
        wanted: columns that it should have, which tell a table by columns from one by rows.
        name: what to call it in an error.

    Raises:
        StudyError: it has a column twice, or columns of several lengths.
    """
    if isinstance(node, list):
        lists = bool(node) and all(isinstance(row, list) for row in node)
        return _headed(node, wanted, name) if lists else node
    if not isinstance(node, dict) or not node:
        return None
    data = node.get("data")
    if isinstance(data, list) and isinstance(node.get("columns"), list):  # orient="split"
        return _named([str(each) for each in node["columns"]], data, wanted, name)
    if isinstance(data, list) and "schema" in node:  # orient="table"
        return data
    if all(isinstance(value, dict) for value in node.values()):
        return _nested(node, wanted)
    if all(isinstance(value, list) and not any(isinstance(each, dict) for each in value) for value in node.values()):
        return _listed(node, name)  # to_dict("list")
    return None


def _headed(rows: list[list[Any]], wanted: tuple[str | int, ...], name: str) -> list[Any]:
    """Read lists whose first one names the columns, or whose columns are told by position."""
    head = [each if isinstance(each, str) else "" for each in rows[0]]
    if all(isinstance(each, int) for each in wanted):  # orient="values"
        return [numbered(row) for row in rows]
    if not set(wanted) & set(head):
        raise StudyError(
            f"{name} is a list of lists, and the first names no column {' or '.join(map(str, wanted))}; give the "
            "columns by position, such as {headline: 1, summary: 2}, or write the rows as objects (pandas: "
            "orient='records')."
        )
    return _named(head, rows[1:], wanted, name)


def _named(columns: list[str], rows: list[Any], wanted: tuple[str | int, ...], name: str) -> list[Any]:
    once(name, columns, wanted)
    whole = len(columns)
    return [
        dict(zip(columns, row, strict=True)) if isinstance(row, list) and len(row) == whole else row for row in rows
    ]


def _nested(node: dict[str, dict[str, Any]], wanted: tuple[str | int, ...]) -> list[Any] | None:
    """Read objects of objects: columns of cells (pandas' default), or rows by index (orient="index")."""
    inner = dict.fromkeys(key for value in node.values() for key in value)
    by_column = any(name in node for name in wanted)
    by_row = any(pick(value, name) is not MISSING for value in node.values() for name in wanted)
    by_number = bool(inner) and all(key.isdigit() for key in inner)
    if by_column or (by_number and not by_row):
        return [{column: cells[index] for column, cells in node.items() if index in cells} for index in inner]
    if by_row or all(key.isdigit() for key in node):
        return list(node.values())
    return None


def _listed(node: dict[str, list[Any]], name: str) -> list[Any]:
    lengths = {column: len(cells) for column, cells in node.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{column} {length}" for column, length in list(lengths.items())[:10])
        raise StudyError(f"{name} has columns of several lengths ({found}); give every column as many values.")
    return [dict(zip(node, row, strict=True)) for row in zip(*node.values(), strict=True)]
