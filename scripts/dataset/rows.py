"""From a source's entry to a usable row, or to the reason why there is none."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from scripts.dataset.cleaning import clean, encodable, shared
from scripts.dataset.entries import NOT_UTF8, Columns

MISSING_COLUMN = "missing_column"
NOT_TEXT = "not_text"
EMPTY = "empty"


@dataclass(frozen=True)
class Bounds:
    """Smallest and largest number of words, both allowed."""

    min: int
    max: int


@dataclass(frozen=True)
class Filters:
    """Which rows are used; words are what white space parts, after cleaning."""

    summary_words: Bounds = field(default_factory=lambda: Bounds(5, 100))
    headline_words: Bounds = field(default_factory=lambda: Bounds(2, 30))

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Return the bounds as the settings write them."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Row:
    """A usable row; ``side`` is None until the split decides."""

    id: str
    summary: str
    headline: str
    category: str
    position: int
    side: str | None

    def as_dict(self) -> dict[str, str]:
        """Return what the data set's files hold of the row."""
        return {"id": self.id, "summary": self.summary, "headline": self.headline, "category": self.category}


class Rejected(Exception):
    """A row that can't be used; the argument is the reason, a word or two joined by underscores."""


def identity(summary: str, headline: str) -> str:
    """Return a row's id: 64 bits of the SHA-256 of its content, as 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps([summary, headline]).encode("ascii")).hexdigest()[:16]


def usable(fields: Mapping[str, Any], columns: Columns, filters: Filters, position: int, side: str | None) -> Row:
    """Clean and check one row.

    Raises:
        Rejected: the row can't be used.
    """
    summary = _text(fields, columns.summary)
    headline = _text(fields, columns.headline)
    _check_length("summary", summary, filters.summary_words)
    _check_length("headline", headline, filters.headline_words)
    category = fields.get(columns.category)
    # A category only groups rows, so a strange one is no reason to lose the row.
    category = clean(category) if isinstance(category, str) and encodable(category) else ""
    return Row(identity(summary, headline), summary, headline, shared(category), position, side)


def _text(fields: Mapping[str, Any], column: str) -> str:
    if column not in fields:
        raise Rejected(MISSING_COLUMN)
    value = fields[column]
    if value is None:
        raise Rejected(EMPTY)
    if isinstance(value, bytes):
        raise Rejected(NOT_UTF8)
    if not isinstance(value, str):
        raise Rejected(NOT_TEXT)
    if not encodable(value):
        raise Rejected(NOT_UTF8)
    text = clean(value)
    if not text:
        raise Rejected(EMPTY)
    return text


def _check_length(part: str, text: str, bounds: Bounds) -> None:
    words = text.count(" ") + 1
    if words < bounds.min:
        raise Rejected(f"{part}_too_short")
    if words > bounds.max:
        raise Rejected(f"{part}_too_long")
