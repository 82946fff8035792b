"""From a source's entry to a usable row, or to the reason why there is none."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from scripts.dataset.cleaning import clean, encodable, interned, without_markup
from scripts.dataset.entries import NOT_UTF8, Columns, Entry
from scripts.dataset.fields import MISSING, pick
from scripts.dataset.filters import Bounds, Filters
from scripts.foundation import words

MISSING_COLUMN = "missing_column"
NOT_TEXT = "not_text"
EMPTY = "empty"


class Row:
    """A usable row, in few bytes: all of a source are held at a time.

    Attributes:
        number: its id as an integer.
        category: what groups it, or an empty text.
        position: where it stands in the source.
        side: None until the split decides.
        had_markup: whether tags of HTML were taken out of it.
    """

    __slots__ = ("_cut", "_texts", "category", "had_markup", "number", "position", "side")

    def __init__(
        self, summary: str, headline: str, category: str, position: int, side: str | None, had_markup: bool
    ) -> None:
        first = summary.encode("utf-8")
        self._texts, self._cut = first + headline.encode("utf-8"), len(first)
        self.number = int(identity(summary, headline), 16)
        self.category, self.position, self.side, self.had_markup = category, position, side, had_markup

    @property
    def id(self) -> str:
        """See ``identity``."""
        return f"{self.number:016x}"

    @property
    def summary(self) -> str:
        """What the headline is written for."""
        return self._texts[: self._cut].decode("utf-8")

    @property
    def headline(self) -> str:
        """What a person wrote."""
        return self._texts[self._cut :].decode("utf-8")

    def as_dict(self) -> dict[str, str]:
        """Return what the data set's files hold of the row."""
        return {"id": self.id, "summary": self.summary, "headline": self.headline, "category": self.category}


class Rejected(Exception):
    """A row that can't be used; the argument is the reason, a word or two joined by underscores."""


def identity(summary: str, headline: str) -> str:
    """Return a row's id: 64 bits of the SHA-256 of its content, as 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps([summary, headline]).encode("ascii")).hexdigest()[:16]


def usable(entry: Entry, columns: Columns, filters: Filters, keep_markup: bool = False) -> Row:
    """Clean and check one row; tags of HTML are taken out unless they are to be kept.

    Raises:
        Rejected: the row can't be used.
    """
    if entry.problem is not None or entry.fields is None:
        raise Rejected(entry.problem)
    fields = entry.fields
    summary, headline = (_text(fields, column, keep_markup) for column in (columns.summary, columns.headline))
    had_markup = summary[1] or headline[1]
    summary, headline = summary[0], headline[0]
    _check_length("summary", summary, filters.summary_words)
    _check_length("headline", headline, filters.headline_words)
    category = pick(fields, columns.grouping)
    # A category only groups rows, so a strange one is no reason to lose the row.
    category = clean(category) if isinstance(category, str) and encodable(category) else ""
    category = interned(category)
    return Row(summary, headline, category, entry.position, entry.side, had_markup)


def _text(fields: Mapping[Any, Any], column: str | int, keep_markup: bool) -> tuple[str, bool]:
    """Return the text of a column, cleaned, and whether tags of HTML were taken out of it."""
    value = pick(fields, column)
    if value is MISSING:
        raise Rejected(MISSING_COLUMN)
    if value is None:
        raise Rejected(EMPTY)
    if isinstance(value, bytes):
        raise Rejected(NOT_UTF8)
    if not isinstance(value, str):
        raise Rejected(NOT_TEXT)
    if not encodable(value):
        raise Rejected(NOT_UTF8)
    text, had_markup = (value, False) if keep_markup else without_markup(value)
    text = clean(text, unescape=keep_markup)
    if not text:
        raise Rejected(EMPTY)
    return text, had_markup


def _check_length(part: str, text: str, bounds: Bounds) -> None:
    count = words.count(text)
    if count < bounds.min:
        raise Rejected(f"{part}_too_short")
    if count > bounds.max:
        raise Rejected(f"{part}_too_long")
