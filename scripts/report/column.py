"""What a column of a table is, and the units that it may be shown in."""

from dataclasses import dataclass

from scripts.metrics.entry import Entry
from scripts.report import numbers

PLAIN = [(1.0, "")]
PERCENT = [(0.01, "%")]
SCALES = {"s": numbers.TIME, "B": numbers.BYTES, "1": PLAIN}
SHOWN = {"percent": PERCENT, "plain": PLAIN}


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        key: its figure.
        group, title: its header.
        units: those it may be shown in; None for the figure's own.
        better: which end is better, ``low`` or ``high``; empty where neither is.
        decimals: where they are fixed.
        spread: whether the spread between runs stands in its cells.
        alone: its name where no group stands above it.
        kind: ``figure`` of the technique, ``change`` against the baseline, ``since`` a previous study, or ``word``.
        main: whether the results table shows it unless the reader chooses otherwise.
        study: whether the reference studies have it.
    """

    key: str
    group: str
    title: str
    units: list[tuple[float, str]] | None
    better: str = ""
    decimals: int | None = None
    spread: bool = False
    alone: str = ""
    kind: str = "figure"
    main: bool = False
    study: bool = False

    @property
    def name(self) -> str:
        """What the column is called where its group does not stand above it."""
        return self.alone or f"{self.title[:1].upper()}{self.title[1:]}"


def units(entry: Entry) -> list[tuple[float, str]] | None:
    """Return the units that a figure may be shown in; None where that is its own."""
    return SHOWN.get(entry.shown) or SCALES.get(entry.unit)


def of_figure(entry: Entry) -> Column:
    """Return the column of a figure that has a place in the results table."""
    place = entry.table
    return Column(
        entry.key, place.group, entry.label, units(entry), entry.better, entry.decimals, entry.spread, kind=entry.kind,
        main=place.main, study=bool(entry.study),
    )  # fmt: skip
