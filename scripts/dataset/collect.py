"""Rows from a source: the usable ones, and the count and list of the others."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from scripts.dataset.cleaning import shown
from scripts.dataset.entries import Entry, Source
from scripts.dataset.rows import MISSING_COLUMN, Filters, Rejected, Row, usable
from scripts.dataset.sources.parquet import missing_columns
from scripts.foundation.errors import StudyError

DUPLICATE = "duplicate"
LEAKAGE = "leakage"
#: A hostile file could have a new column in every row.
_COLUMNS_KEPT = 200


@dataclass
class Rejects:
    """The list of rejected rows, written as it grows."""

    handle: TextIO
    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, int] = field(default_factory=dict)

    def add(self, position: int, reason: str, content: str) -> None:
        """Count one row and write it down."""
        self.counts[reason] += 1
        self.first.setdefault(reason, position)
        line = {"position": position, "reason": reason, "content": content}
        self.handle.write(json.dumps(line, ensure_ascii=False) + "\n")


def collect(source: Source, filters: Filters, rejects: Rejects) -> list[Row]:
    """Read the whole source and return its usable rows in the source's order.

    Raises:
        StudyError: no row can be used; the message says why.
    """
    rows: list[Row] = []
    seen: set[str] = set()
    present: dict[str, None] = {}
    read = 0
    for entry in source.entries:
        read += 1
        if entry.fields is not None and len(present) < _COLUMNS_KEPT:
            present.update(dict.fromkeys(entry.fields))
        try:
            row = _usable(entry, source, filters)
            if row.id in seen:
                raise Rejected(DUPLICATE)
        except Rejected as rejected:
            rejects.add(entry.position, str(rejected), _content(entry, source))
        else:
            seen.add(row.id)
            rows.append(row)
    if not rows:
        raise StudyError(_nothing(source, read, list(present), rejects))
    return rows


def _usable(entry: Entry, source: Source, filters: Filters) -> Row:
    if entry.problem is not None or entry.fields is None:
        raise Rejected(entry.problem)
    return usable(entry.fields, source.columns, filters, entry.position, entry.side)


def _content(entry: Entry, source: Source) -> str:
    if entry.fields is None:
        return shown(entry.raw or "")
    columns = source.columns
    return shown(
        _plain({each: entry.fields[each] for each in (columns.headline, columns.summary) if each in entry.fields})
    )


def _plain(fields: Mapping[str, Any]) -> str:
    short = {key: value[:140] if isinstance(value, str) else repr(value)[:140] for key, value in fields.items()}
    return json.dumps(short, ensure_ascii=False)


def _nothing(source: Source, read: int, present: list[str], rejects: Rejects) -> str:
    """Say why a source gave no usable row."""
    if read == 0:
        return f"{source.name} has no rows; name a source that has some."
    columns = source.columns
    missing = [each for each in dict.fromkeys((columns.summary, columns.headline)) if each not in present]
    if present and missing and MISSING_COLUMN in rejects.counts:
        return missing_columns(source.name, missing, present)
    reasons = ", ".join(
        f"{count} {reason} (first at {source.unit} {rejects.first[reason]})"
        for reason, count in rejects.counts.most_common()
    )
    return f"{source.name}: none of its {read} rows can be used: {reasons}; check the source and dataset.filters."
