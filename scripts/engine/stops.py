"""Which tokens end the requests of continuous batching."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy

from scripts.runtime.stops import Held, codes


@dataclass
class Stops:
    """Sets of stop tokens in use, as rows of a table."""

    vocabulary: int
    table: numpy.ndarray = field(init=False)  # int8 [sets, vocabulary], as runtime.stops.codes
    index: dict[tuple[frozenset[int], Held], int] = field(default_factory=dict)
    used: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.table = numpy.zeros((0, self.vocabulary), dtype=numpy.int8)

    def take(self, stops: frozenset[int], held: Held) -> int:
        """The row of a set, for one more request."""
        row = self.index.get((stops, held))
        if row is None:
            row = self._free_row()
            self.table[row] = codes(stops, held, self.vocabulary)
            self.index[stops, held] = row
        self.used[row] += 1
        return row

    def _free_row(self) -> int:
        for stops, row in self.index.items():
            if not self.used[row]:
                del self.index[stops]
                return row
        self.table = numpy.concatenate([self.table, numpy.zeros((1, self.vocabulary), dtype=numpy.int8)])
        self.used.append(0)
        return len(self.used) - 1
