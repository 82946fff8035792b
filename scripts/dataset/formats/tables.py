"""What the lines of a text say of a table: whether it is one, and what parts its columns."""

import csv
import re
from collections import Counter
from collections.abc import Sequence

from scripts.dataset.entries import Columns

DELIMITERS = (",", "\t", ";", "|")
#: Lines that are looked at.
LOOKED_AT = 50
# A text may have a comma or two in each of a few lines by chance.
_FEWEST = 3
# Excel's own first line, which is no row, saved as a value or as it stands.
_SEPARATOR = re.compile(r'(?P<quote>"?)sep=(?P<delimiter>[^\w\s"]|\t)(?P=quote)[\t ,;|]*', re.IGNORECASE)


def said_delimiter(line: str) -> str | None:
    """Return what a first line such as ``sep=;`` says that parts the columns; None where it says nothing."""
    found = _SEPARATOR.fullmatch(line.rstrip("\r\n"))
    return found["delimiter"] if found else None


def is_table(text: str, whole: bool, columns: Columns) -> bool:
    """Whether a text that its name does not call a table is one beyond doubt.

    Its first line has the columns that are asked for, or one character parts all its first lines into as many values.

    Args:
        text: its beginning.
        whole: whether that is all of it; else the last line may be cut off.
        columns: that the study asks for.
    """
    found = text.split("\n")
    lines = [line for line in (found if whole else found[:-1]) if line.strip()][:LOOKED_AT]
    if not lines:
        return False
    if said_delimiter(lines[0]):
        return True
    if not columns.by_position and any(set(columns.text) <= set(names(lines[0], each)) for each in DELIMITERS):
        return True
    return len(lines) >= _FEWEST and any(
        width > 1 and share == 1 for width, share in (widths(lines, each) for each in DELIMITERS)
    )


def widths(lines: Sequence[str], delimiter: str) -> tuple[int, float]:
    """The most frequent number of values of a line, and the share of lines that have it."""
    try:
        found = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter) if row)
    except csv.Error:
        found = Counter(line.count(delimiter) + 1 for line in lines)
    width, count = max(found.items(), key=lambda pair: (pair[1], pair[0]), default=(0, 0))
    return width, count / max(1, found.total())


def names(header: str, delimiter: str) -> list[str]:
    """The values of a line; none where its quotes are wrong."""
    try:
        return next(csv.reader([header], delimiter=delimiter), [])
    except csv.Error:
        return []
