"""Entries: what a source yields, one per row, valid or not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Longest row that is read, in bytes; a longer one is rejected and skipped without being held in memory.
ROW_LIMIT = 4 * 2**20

MALFORMED = "malformed"
NOT_UTF8 = "not_utf8"
STRAY_QUOTE = "stray_quote"
TOO_LARGE = "too_large"


@dataclass(slots=True)
class Entry:
    """One row of a source.

    Attributes:
        position: 1-based line or row, as the source counts.
        fields: values by column; None when ``problem`` says why there are none.
        raw: the original content, for the list of rejected rows: bytes, text, or None for ``fields``.
        side: "train" or "pool" when the source itself decides, else None.
    """

    position: int
    fields: Mapping[str, Any] | None = None
    raw: bytes | str | None = None
    problem: str | None = None
    side: str | None = None


@dataclass(frozen=True)
class Columns:
    """The source's columns that hold a row's parts: names, or positions from 1 in a table without a header.

    A dotted name leads into nested objects. A ``category`` of None is the column of that name, where there is one.
    """

    summary: str | int = "short_description"
    headline: str | int = "headline"
    category: str | int | None = None

    @property
    def grouping(self) -> str | int:
        """The category's column; in a table without a header, where none is named, no column has this name."""
        return "category" if self.category is None else self.category

    @property
    def text(self) -> tuple[str | int, ...]:
        """The columns without which a row can't be used, each once."""
        return tuple(dict.fromkeys((self.summary, self.headline)))

    @property
    def by_position(self) -> bool:
        """Whether the columns are told by their positions."""
        return isinstance(self.summary, int)

    def all(self) -> tuple[str | int, ...]:
        """Every column that is looked for."""
        return (self.summary, self.headline, self.grouping)


@dataclass(frozen=True)
class Opened:
    """An opened source.

    Attributes:
        name: what to call it in an error.
        entries: its rows, read once, one at a time.
        origin: what it was read from, for the manifest: settled before the first row is read.
        unit: what a position counts: "line" or "row".
        columns: where to find a row's parts.
        encoding: of a text file, Python's name of the encoding that it is read in; else None.
        notes: remarks for the user, complete once all entries are read.
    """

    name: str
    entries: Iterator[Entry]
    origin: Mapping[str, Any]
    unit: str
    columns: Columns = field(default_factory=Columns)
    encoding: str | None = None
    notes: list[str] = field(default_factory=list)
