"""Source ``counted``: rows about numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from scripts.dataset.entries import Entry, Opened
from scripts.dataset.source import Options, Source

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Settings(Source):
    """How many rows there are."""

    rows: int = 300

    @classmethod
    def read(cls, options: Options) -> Self:
        """Read the number."""
        return cls(options.whole("rows", cls().rows, 1))

    def open(self, seed: int) -> Opened:
        """Open the rows."""
        return Opened("counted", self._entries(), {"rows": self.rows}, "row")

    def _entries(self) -> Iterator[Entry]:
        for number in range(self.rows):
            spelled = " ".join(WORDS[int(digit)] for digit in f"{number:03d}")
            summary = f"The number {number} is spelled {spelled} when its digits are read one by one."
            yield Entry(number + 1, {"short_description": summary, "headline": f"Number {number}: {spelled}"})
