"""The columns of the results table, in the order of the table; a reader chooses which of them are shown."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from scripts.comparison import catalogue, costs, matches, verdicts
from scripts.comparison.studies import estimates, judging
from scripts.metrics import registry
from scripts.metrics.entry import CHANGES, GROUPS, Entry
from scripts.report import factors, numbers, rows
from scripts.report.column import Column, of_figure

QUALITY, AUDIT = verdicts.KEPT.key, matches.AUDIT.key
SUMMARY, SEQUENCE = "rougeLsum", "rougeL"
BASELINE_IS_ONE = f"baseline = 1{numbers.TIMES}"


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


SINCE = "Change since the previous study"
SINCE_KEYS = tuple(f"since_{key}" for key in judging.KIND_OF)


def of(comparison: dict[str, Any]) -> list[Column]:
    """The columns of one study: without ROUGE-Lsum where it is ROUGE-L; the cost among the first where it is known.

    Where it is compared with a previous study, its changes since are the last columns.
    """
    ran = rows.ran(comparison["techniques"])
    since = [_since(key) for key in judging.KIND_OF] if "previous" in comparison else []
    found = [column for column in [*results(), *since] if column.key != SUMMARY or not same_summary(ran)]
    return [replace(column, main=_at_first(column, ran)) for column in found]


def _at_first(column: Column, ran: list[dict[str, Any]]) -> bool:
    """Whether a column is shown unless the reader chooses otherwise; one in which nothing stands is not."""
    if not column.main and column.key != costs.COST.key:
        return False
    if column.kind == "figure":
        return any(rows.figure(technique, column.key)["value"] is not None for technique in ran)
    changes = [technique["changes"]["baseline"] for technique in ran]
    if column.kind == "change":
        return any((change["figures"] or {}).get(column.key, {}).get("value") is not None for change in changes)
    return column.key != QUALITY or any(change["quality_kept"]["verdict"] for change in changes)


def same_summary(ran: list[dict[str, Any]]) -> bool:
    """Whether ROUGE-Lsum is ROUGE-L for every technique, as of headlines of one line: then it tells nothing."""
    return all(rows.figure(t, SUMMARY)["value"] == rows.figure(t, SEQUENCE)["value"] for t in ran)


def measured() -> list[Column]:
    """The columns of figures."""
    return [column for column in results() if column.kind == "figure"]


def _order(entry: Entry) -> tuple[int, int]:
    group = entry.table.group
    return GROUPS.index(group) if group in GROUPS else len(GROUPS), entry.table.place


def _change(entry: Entry) -> Column:
    change = entry.change
    return Column(change.key, CHANGES, change.label, None, entry.better, kind="change", main=change.main)


def _since(key: str) -> Column:
    """Return the column of a figure's change since the previous study, which a reader has to choose."""
    entry = estimates.entry_of(key)
    return Column(f"since_{key}", SINCE, f"{entry.label} since previous", None, entry.better, kind="since")


def heads(
    columns: Sequence[Column], names: dict[str, str], scales: dict[str, numbers.Scale], units: dict[str, str]
) -> list[dict[str, Any]]:
    """Return the header of each column: what it is called, and the units of the cells and of the raw values.

    Args:
        columns: those of the study.
        names: of columns that are called otherwise in this study.
        scales: unit and decimals of each measured column.
        units: unit of each column's raw values.
    """
    found = []
    for column in columns:
        scale = scales.get(column.key)
        form = factors.form(column.key) if column.kind == "change" else ""
        factor = form in (factors.SPEED, factors.TIMES)
        found.append(
            {
                "key": column.key,
                "name": names.get(column.key, column.title),
                "group": column.group,
                "unit": scale.unit if scale else BASELINE_IS_ONE if factor else "",
                "raw_unit": "" if units.get(column.key, "") == "1" else units.get(column.key, ""),
                "kind": column.kind,
                "form": form,
                "better": "high" if form == factors.SPEED else column.better,
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
