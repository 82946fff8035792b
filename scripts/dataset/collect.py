"""Collects usable rows from a source, and counts and lists the rejected ones."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from scripts.dataset.cleaning import shown
from scripts.dataset.entries import MALFORMED, NOT_UTF8, Entry, Opened
from scripts.dataset.fields import MISSING, names, pick
from scripts.dataset.filters import Filters
from scripts.dataset.formats import encoding
from scripts.dataset.formats.columns import missing_columns
from scripts.dataset.rows import MISSING_COLUMN, Rejected, Row, usable
from scripts.foundation.errors import StudyError

DUPLICATE = "duplicate"
LEAKAGE = "leakage"
#: A hostile file could have a new column in every row.
_COLUMNS_KEPT = 200
_RAW = 1000
_SHOWN = 100  # characters of a row in a sentence
#: What a row must be, by the format.
_ROWS = {
    "csv": "a row of CSV has as many values as the first line, those with delimiters in them in double quotes",
    "json_lines": "each line must be a JSON object of its own",
    "json_array": "each row must be a JSON object",
    "json_document": "each row must be a JSON object",
}


@dataclass
class Rejects:
    """The list of rejected rows, written as it grows."""

    handle: TextIO
    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, int] = field(default_factory=dict)
    content: dict[str, str] = field(default_factory=dict)

    def add(self, position: int, reason: str, content: str) -> None:
        """Count one row and write it down."""
        self.counts[reason] += 1
        self.first.setdefault(reason, position)
        self.content.setdefault(reason, content)
        line = {"position": position, "reason": reason, "content": content}
        self.handle.write(json.dumps(line, ensure_ascii=False) + "\n")

    def summary(self, unit: str) -> str:
        """Return the counts of all reasons in words, with the first position of each; ``unit`` is what it counts."""
        return ", ".join(
            f"{count} {reason} (first at {unit} {self.first[reason]})" for reason, count in self.counts.most_common()
        )


@dataclass
class Undecodable:
    """Rows that the file's encoding can't decode: how many, and the bytes of the first."""

    count: int = 0
    sample: bytearray = field(default_factory=bytearray)

    def add(self, raw: bytes) -> None:
        """Count a row, and keep it while there is room."""
        self.count += 1
        if len(self.sample) < encoding.SAMPLE:
            self.sample += raw + b"\n"


def collect(source: Opened, filters: Filters, rejects: Rejects, keep_markup: bool = False) -> list[Row]:
    """Read the whole source and return its usable rows in order; adds remarks to the source's notes.

    Raises:
        StudyError: no row can be used, or none has the category that is named; the message says why.
    """
    rows: list[Row] = []
    seen: set[int] = set()
    present: dict[str, None] = {}
    undecodable = Undecodable()
    read = 0
    has_category = False
    for entry in source.entries:
        read += 1
        if entry.fields is not None and len(present) < _COLUMNS_KEPT:
            present.update(dict.fromkeys(names(entry.fields)))
        has_category = has_category or pick(entry.fields or {}, source.columns.grouping) is not MISSING
        try:
            row = usable(entry, source.columns, filters, keep_markup)
            if row.number in seen:
                raise Rejected(DUPLICATE)
        except Rejected as rejected:
            reason = str(rejected)
            if reason == NOT_UTF8 and (raw := _undecodable(entry, source)):
                undecodable.add(raw)
            rejects.add(entry.position, _named(reason, source), _content(entry, source))
        else:
            seen.add(row.number)
            rows.append(row)
    advice = _advice(source, undecodable)
    if not rows:
        raise StudyError(_no_rows(source, read, list(present), rejects, advice))
    if source.columns.category is not None and not has_category:
        # A category that is not asked for may be absent.
        raise StudyError(missing_columns(source.name, [source.columns.category], list(present)))
    if advice:
        source.notes.append(advice)
    marked = sum(row.had_markup for row in rows)
    if marked:
        message = "1 row" if marked == 1 else f"{marked} rows"
        source.notes.append(f"HTML was taken out of {message}; dataset.markup: keep leaves it in")
    return rows


def _named(reason: str, source: Opened) -> str:
    """Return a reason with the configured encoding in place of UTF-8."""
    if reason != NOT_UTF8 or source.encoding in (None, encoding.UTF8):
        return reason
    return f"not_{source.encoding.replace('-', '')}"


def _undecodable(entry: Entry, source: Opened) -> bytes:
    """Return the bytes of a row that is no UTF-8; b"" where its bytes are, as with an escaped lone surrogate."""
    raw = entry.raw
    if raw is None:
        values = [pick(entry.fields or {}, name) for name in source.columns.text]
        raw = next((value for value in values if isinstance(value, bytes)), None)
        raw = " ".join(value for value in values if isinstance(value, str)) if raw is None else raw
    try:
        data = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogateescape")
        data.decode("utf-8")
    except UnicodeEncodeError:
        return b""
    except UnicodeDecodeError:
        return data[:_RAW]
    return b""


def _content(entry: Entry, source: Opened) -> str:
    if entry.fields is None:
        return shown(entry.raw or "")
    of_file = ["file"] if source.unit == "file" else []
    found = {name: pick(entry.fields, name) for name in (*of_file, source.columns.headline, source.columns.summary)}
    return shown(_plain({str(name): value for name, value in found.items() if value is not MISSING}))


def _plain(fields: Mapping[str, Any]) -> str:
    short = {key: value[:140] if isinstance(value, str) else repr(value)[:140] for key, value in fields.items()}
    return json.dumps(short, ensure_ascii=False)


def _advice(source: Opened, undecodable: Undecodable) -> str:
    """Advice on rows that can't be decoded; empty if there are none."""
    if source.encoding is None or not undecodable.count:
        return ""
    rows = "1 row is" if undecodable.count == 1 else f"{undecodable.count} rows are"
    message = f"{rows} not {source.encoding.upper()}"
    return f"{message}; {encoding.advice(bytes(undecodable.sample))}" if source.encoding == encoding.UTF8 else message


def _by_position(source: Opened) -> str:
    if source.origin.get("format") != "csv" or source.columns.by_position:
        return ""
    return ", or, where its first line is a row already, give them by position, such as {headline: 1, summary: 2}"


def mostly_rejected(read: int, rejects: Rejects) -> str:
    """A sentence where most of a source's rows can't be used; else empty."""
    count = rejects.counts.total()
    if 2 * count <= read:
        return ""
    reason, of_it = rejects.counts.most_common(1)[0]
    return (
        f"{count:,} of the {read:,} rows of the data are rejected ({100 * count / read:.0f}%), {of_it:,} of them as "
        f"{reason}: check that the columns and dataset.filters suit it; rejects.jsonl lists the rows"
    )


def _no_rows(source: Opened, read: int, present: list[str], rejects: Rejects, advice: str) -> str:
    """The sentence for a source without usable rows."""
    if read == 0:
        return f"{source.name} has no rows; name a source that has some."
    missing = [each for each in source.columns.text if str(each) not in present]
    if present and missing and MISSING_COLUMN in rejects.counts:
        return missing_columns(source.name, missing, present, _by_position(source))
    message = f"{source.name}: none of its {read} rows can be used: {rejects.summary(source.unit)}"
    return f"{message}; {advice or _first(source, rejects)}."


def _first(source: Opened, rejects: Rejects) -> str:
    """What the first row that was rejected for the most frequent reason holds, and what to look at."""
    reason = rejects.counts.most_common(1)[0][0]
    content = rejects.content[reason]
    begins = f"the first begins “{content[:_SHOWN]}{'…' if len(content) > _SHOWN else ''}”"
    form = _ROWS.get(str(source.origin.get("format"))) if reason == MALFORMED else None
    return f"{begins}; {form or 'check the columns and dataset.filters'}"
