"""Records of a CSV file by the quoting rules of RFC 4180, with recovery from stray quotes.

A stray quote opens a value that extends to the next quote, maybe thousands of rows later. So if a record of several
lines breaks the rules, only its first line is rejected, and reading resumes after it.
"""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from scripts.dataset.entries import MALFORMED, ROW_LIMIT, STRAY_QUOTE, TOO_LARGE
from scripts.dataset.formats.lines import Line, lines

#: So many lines between a record's first and last, each with as many delimiters as a row, are no text by chance.
_MIN_ROWS = 3
_MIN_ROWS_OF_PAIRS = 8
_MAX_CHECKED = 200
_RAW = 1000


@dataclass(frozen=True, slots=True)
class Record:
    """A record, or what is left out in its place: ``values`` is None where ``problem`` says why."""

    line: int
    values: list[str] | None
    raw: str
    problem: str | None = None


class _TooLong(Exception):
    """A record that goes on for longer than any row may."""


class Records:
    """The records of a stream of UTF-8 lines.

    Attributes:
        long: how many records of several lines were read.
        like_rows: of these, how many could be rows by the look of each of their lines.
        first_like_rows: the line on which the first of them begins.
    """

    def __init__(self, stream: BinaryIO) -> None:
        csv.field_size_limit(ROW_LIMIT)
        self._lines = lines(stream)
        self.long = self.like_rows = self.first_like_rows = 0
        self._pushed_back: deque[Line] = deque()
        self._lines_read: list[Line] = []
        self._ended = False
        self._doubtful = 0

    def take_header(self) -> Line | None:
        """Take the first line, which is no record; None in an empty stream."""
        return self._next_line()

    def ahead(self, count: int) -> list[Line]:
        """Return the first lines, which are still to be read."""
        self._pushed_back.extend(islice(self._lines, count))
        return list(self._pushed_back)

    def read(self, delimiter: str, width: int) -> Iterator[Record]:
        """Yield the records from here on; ``width`` is how many values each must have."""
        self._delimiter, self._width = delimiter, width
        while line := self._next_line():
            self._pushed_back.appendleft(line)
            found = self._record()
            if found is not None:
                yield found

    def _record(self) -> Record | None:
        """Read one record; None for a blank line."""
        self._lines_read, self._ended = [], False
        values: list[str] = []
        try:
            values = next(csv.reader(self._feed(), delimiter=self._delimiter, strict=True))
            problem = MALFORMED if values and len(values) != self._width else None
        except _TooLong:
            problem = TOO_LARGE
        except csv.Error:  # a quote that is not closed, or closed before its value ends; a carriage return on its own
            problem = STRAY_QUOTE if b'"' in self._lines_read[0].data else MALFORMED
        first, *behind = self._lines_read
        # What parts values by tabs often has no quotes of its own, so that they are part of the text.
        if self._delimiter == "\t" and (problem == STRAY_QUOTE or (behind and self._is_rows())) and self._is_row(first):
            self._pushed_back.extendleft(reversed(behind))
            return Record(first.number, _parsed(first, "\t", csv.QUOTE_NONE), _text(first)[:_RAW])
        if behind:
            if problem or self._is_rows():
                return self._skip_first(problem or STRAY_QUOTE, first, behind)
            self.long += 1
            if self._width > 2 and all(map(self._is_row, self._lines_read)):
                self.like_rows += 1
                self.first_like_rows = self.first_like_rows or first.number
        elif not problem and first.number <= self._doubtful and _odd(first):
            problem = STRAY_QUOTE
        raw = "".join(map(_text, self._lines_read))[:_RAW]
        if problem:
            return Record(first.number, None, raw, problem)
        return Record(first.number, values, raw) if values else None

    def _skip_first(self, problem: str, first: Line, behind: list[Line]) -> Record:
        """Reject the first line; the following lines are read again as rows, or skipped as a broken text."""
        self._pushed_back.extendleft(reversed(behind))
        # Without an end the last line is like the others; else it has the quote at which the value ended.
        between = (behind if self._ended or problem == TOO_LARGE else behind[:-1])[:_MAX_CHECKED]
        if between and 2 * sum(map(self._is_row, between)) >= len(between):
            problem = STRAY_QUOTE
            self._doubtful = max(self._doubtful, behind[-1].number)
        else:
            self._skip_text(closes=problem == TOO_LARGE)
        return Record(first.number, None, _text(first)[:_RAW], problem)

    def _skip_text(self, closes: bool) -> None:
        """Skip the lines of a broken text up to its closing quote or a line that opens a value.

        ``closes``: the value is known to be open still, so the next odd quote closes it.
        """
        while line := self._next_line():
            if b'"' in line.data:
                if not (_odd(line) and (closes or _parsed(line, self._delimiter) is not None)):
                    self._pushed_back.appendleft(line)
                return

    def _is_rows(self) -> bool:
        """Whether each line of the record, quotes aside, is a row by itself, and there are too many for chance."""
        enough = _MIN_ROWS_OF_PAIRS if self._width == 2 else _MIN_ROWS
        long = self._width > 1 and len(self._lines_read) - 2 >= enough
        return long and all(map(self._is_row, (*self._lines_read[:_MAX_CHECKED], self._lines_read[-1])))

    def _is_row(self, line: Line) -> bool:
        return len(_parsed(line, self._delimiter, csv.QUOTE_NONE) or []) == self._width

    def _feed(self) -> Iterator[str]:
        size = 0
        while line := self._next_line():
            self._lines_read.append(line)
            size += len(line.data)
            if not line.whole or (size > ROW_LIMIT and len(self._lines_read) > 1):
                raise _TooLong
            yield _text(line)
        self._ended = True

    def _next_line(self) -> Line | None:
        return self._pushed_back.popleft() if self._pushed_back else next(self._lines, None)


def _odd(line: Line) -> bool:
    return line.data.count(b'"') % 2 == 1


def _parsed(line: Line, delimiter: str, quoting: int = csv.QUOTE_MINIMAL) -> list[str] | None:
    """Return the values of a line by itself; None where it is no record by itself."""
    try:
        return next(csv.reader([_text(line)], delimiter=delimiter, quoting=quoting, strict=True), [])
    except csv.Error:
        return None


def _text(line: Line) -> str:
    # Bad bytes become lone surrogates, which the cleaning finds in the one row that has them.
    return line.data[: None if line.whole else _RAW].decode("utf-8", "surrogateescape")
