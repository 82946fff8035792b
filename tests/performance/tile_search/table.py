"""The times of one product, and how they are shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

WORTH = 0.97  # of the rule's time

Choice = tuple[str, tuple[int, ...]]  # a kernel and its tile configuration


@dataclass
class Timed:
    """A product of so many rows with a stored matrix.

    Attributes:
        product: the matrix's name.
        kind: how it is stored.
        N: its rows.
        K: its columns.
        rows: rows of inputs.
        nbytes: bytes of the matrix.
        rule: what the rule chooses.
        microseconds: of each choice.
    """

    product: str
    kind: str
    N: int
    K: int
    rows: int
    nbytes: int
    rule: Choice
    microseconds: dict[Choice, float]

    def best(self) -> Choice:
        """The fastest choice; the rule's where none is worth naming."""
        fastest = min(self.microseconds, key=self.microseconds.get)
        return fastest if self.microseconds[fastest] < WORTH * self.microseconds[self.rule] else self.rule

    def line(self) -> str:
        """A row of the table."""
        rule, best = self.microseconds[self.rule], self.best()
        fast, which = "", ""
        if best != self.rule:
            fast, which = f"{self.microseconds[best]:.1f} ({rule / self.microseconds[best]:.2f}x)", shown(best)
        cells = (
            self.product, f"{self.N} x {self.K}", self.kind, self.rows, shown(self.rule), f"{rule:.1f}",
            f"{self.nbytes / rule / 1e6:.2f}", fast, which,
        )  # fmt: skip
        return f"| {' | '.join(map(str, cells))} |"

    def entry(self) -> str:
        """The line for scripts/kernels/tuned.py; empty where the rule stands."""
        from scripts.kernels.tuned import padded_rows

        best = self.best()
        return "" if best == self.rule else f"{(self.kind, self.N, self.K, padded_rows(self.rows))}: {best},"

    def document(self) -> dict[str, Any]:
        """All times as JSON."""
        times = [
            {"kernel": name, "tile": tile, "microseconds": time_} for (name, tile), time_ in self.microseconds.items()
        ]
        return asdict(self) | {"best": self.best(), "microseconds": times}


HEAD = "| product | N x K | kind | rows | rule | us | TB/s | best, us | which |\n" + "|---" * 9 + "|"


def shown(choice: Choice) -> str:
    """A kernel and its tile configuration."""
    kernel, tile = choice
    return f"{kernel} {'/'.join(map(str, tile))}".strip()
