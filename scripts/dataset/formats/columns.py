"""Checks that a table has the configured columns, each once."""

from collections.abc import Iterable, Sequence

from scripts.dataset.entries import Columns
from scripts.dataset.fields import holder
from scripts.foundation.errors import StudyError

_SHOWN = 30
_LONGEST = 80


def need_columns(name: str, present: list[str], columns: Columns) -> None:
    """Check that a table with a known header has the columns that are named, and none of them twice.

    Raises:
        StudyError: it lacks one or has one twice; the message names the columns.
    """
    once(name, present, columns.all())
    named = (*columns.text, *([] if columns.category is None else [columns.category]))
    missing = [column for column in dict.fromkeys(named) if holder(column, present) is None]
    if missing:
        raise StudyError(missing_columns(name, missing, present))


def once(name: str, present: list[str], wanted: Iterable[str | int]) -> None:
    """Check that no configured column is there twice: which of the two is meant is unknown.

    Raises:
        StudyError: one is; the message names it.
    """
    for column in wanted:
        if present.count(column) > 1:
            places = [str(place) for place, each in enumerate(present, start=1) if each == column]
            raise StudyError(
                f"{name} has {len(places)} columns named {column} (the columns {', '.join(places[:-1])} and "
                f"{places[-1]}); rename all but one of them."
            )


def missing_columns(name: str, missing: Sequence[str | int], present: list[str], advice: str = "") -> str:
    """Return the sentence for columns that are not there; ``advice`` is added to what to do."""
    shown = [each if len(each) <= _LONGEST else f"{each[:_LONGEST]}…" for each in present[:_SHOWN]]
    has = ", ".join(shown) + (", …" if len(present) > _SHOWN else "") if present else "none"
    word = "column" if len(missing) == 1 else "columns"
    lacks = " and ".join(str(each) for each in missing)
    return f"{name} has no {word} {lacks}; it has {has}; set the columns of the source to these{advice}."
