"""The columns of the results table, in the order of the table; a reader chooses which of them are shown."""

from typing import Any

from scripts.comparison import catalogue, matches, verdicts
from scripts.metrics import registry
from scripts.metrics.entry import CHANGES, GROUPS, Entry
from scripts.report import numbers
from scripts.report.column import Column, of_figure

QUALITY, AUDIT = verdicts.KEPT.key, matches.AUDIT.key


def results() -> list[Column]:
    """Every column: the figures by their groups, the changes against the baseline, and the verdicts."""
    placed = sorted((entry for entry in catalogue.entries() if entry.table), key=_order)
    figures = [of_figure(entry) for entry in placed]
    changes = [_change(entry) for entry in registry.changes().values() if entry.change.label]
    return [
        *(column for column in figures if column.group != CHANGES),
        *changes,
        *(column for column in figures if column.group == CHANGES),
    ]


def measured() -> list[Column]:
    """The columns of figures."""
    return [column for column in results() if column.kind == "figure"]


def _order(entry: Entry) -> tuple[int, int]:
    group = entry.table.group
    return GROUPS.index(group) if group in GROUPS else len(GROUPS), entry.table.place


def _change(entry: Entry) -> Column:
    change = entry.change
    return Column(change.key, CHANGES, change.label, None, entry.better, kind="change", main=change.main)


def heads(names: dict[str, str], scales: dict[str, numbers.Scale], units: dict[str, str]) -> list[dict[str, Any]]:
    """Return the header of each column: what it is called, and the units of the cells and of the raw values.

    Args:
        names: of columns that are called otherwise in this study.
        scales: unit and decimals of each measured column.
        units: unit of each column's raw values.
    """
    found = []
    for column in results():
        scale = scales.get(column.key)
        found.append(
            {
                "key": column.key,
                "name": names.get(column.key, column.title),
                "group": column.group,
                "unit": scale.unit if scale else "",
                "raw_unit": "" if units.get(column.key, "") == "1" else units.get(column.key, ""),
                "kind": column.kind,
                "better": column.better,
                "main": column.main,
                "study": column.study,
                "first": not found or found[-1]["group"] != column.group,
            }
        )
    return found


def groups(shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the headers by group, for the reader to choose from."""
    found: dict[str, list[dict[str, Any]]] = {}
    for head in shown:
        found.setdefault(head["group"], []).append(head)
    return [{"title": title, "columns": members} for title, members in found.items()]
