"""A fault campaign: rounds of random faults until its time is over, a seed that repeats them, and what was counted.

``FAULTS_SEED`` sets the seed (by default a new one), ``FAULTS_SECONDS`` the seconds of each campaign, ``FAULTS_ROUNDS``
the most rounds of each, where that is less than the campaign's own number.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

SEED = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))
SECONDS = float(os.environ.get("FAULTS_SECONDS") or 300)
ROUNDS = int(os.environ.get("FAULTS_ROUNDS") or 10**9)


@dataclass
class Campaign:
    """The state of a campaign.

    Attributes:
        name: as the summary gives it.
        seed: repeats the choices of ``random``, which is the campaign's own whatever else runs.
        seconds: after which no further round begins.
        most: rounds at most.
        counts: how often each thing happened, by a word for it.
        worst: the worst that was met, in a few words.
    """

    name: str
    seed: int = SEED
    seconds: float = SECONDS
    most: int = ROUNDS
    counts: Counter[str] = field(default_factory=Counter)
    worst: str = ""

    def __post_init__(self) -> None:
        self.random = random.Random(f"{self.seed} {self.name}")
        self._began = time.monotonic()
        self.done = 0

    def rounds(self, most: int | None = None) -> Iterator[int]:
        """Count rounds from 0 until the time is over, or ``most`` are done."""
        most = min(most or self.most, self.most)
        while self.done < most and self.spent_s < self.seconds:
            yield self.done
            self.done += 1

    @property
    def spent_s(self) -> float:
        """Seconds since the campaign began."""
        return time.monotonic() - self._began

    def count(self, what: str, number: int = 1) -> None:
        """Count something that happened."""
        self.counts[what] += number

    def note(self, worst: str) -> None:
        """Keep the worst that was met; what was noted last stands."""
        self.worst = worst

    def __str__(self) -> str:
        counted = ", ".join(f"{number:,} {what}" for what, number in self.counts.items())
        parts = [f"{self.done:,} rounds in {self.spent_s:.0f} s (seed {self.seed})", counted, self.worst]
        return f"{self.name}: " + "; ".join(filter(None, parts))
