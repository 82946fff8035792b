"""The highest rate of requests at which a percentile keeps its limits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

#: While only one end of the bracket is known, the first step to the other; each further one is the square of it.
STEP = 1.15
#: From a rate that keeps, a step of so much of the resolution closes the bracket where the next rate breaks.
CLOSING = 0.9
#: At a rate of so little of one over a lone request's latency almost none meets another.
LONELY = 0.05
#: Up to this share of what is served at the most, a queue is not what makes a rate break the limits.
FAR_BELOW = 0.5


@dataclass
class Search:
    """Chooses which rate to test next, and reads the capacity from what was found.

    A bracket is found by steps that grow, from a first rate that is a guess, then cut in its geometric middle until its
    ends are within the resolution. Where ``most`` is known, what a level completed that got more than is served, it
    stands for the upper end in choosing the next rate, as long as no rate as high as that keeps; only tested rates
    are ends. Whether a rate keeps the limits is itself uncertain near the edge, and need not fall with the rate. So
    both ends of the last bracket are tested again with other arrivals, the upper one first, since that ends sooner.
    Where the two tests of a rate disagree a third decides; where an end turns over, the search goes on from there. A
    rate that breaks far below what is served at the most is tested again at once: a single stall of the server can
    break it, and all that follows would be searched below. The lowest rate that breaks bounds it, whatever higher
    rates did.

    Attributes:
        first: rate to begin with.
        lowest: rate below which it is not searched.
        resolution: largest ratio of the bracket's ends, less one.
        most: requests a second that are served at the most, as far as is known.
        verdicts: of each rate tested, whether each test of it kept the limits.
    """

    first: float
    lowest: float
    resolution: float
    most: float = math.inf
    verdicts: dict[float, list[bool]] = field(default_factory=dict)

    def keeps(self, rate: float) -> bool | None:
        """Return what the tests of a rate say; None where they are even."""
        kept = self.verdicts[rate]
        return None if 2 * sum(kept) == len(kept) else 2 * sum(kept) > len(kept)

    def edges(self) -> tuple[float | None, float | None]:
        """Return the highest rate that keeps below the lowest that breaks, and that one; None where there is none."""
        breaks = min((rate for rate in self.verdicts if self.keeps(rate) is False), default=None)
        keeping = [rate for rate in self.verdicts if self.keeps(rate) and (breaks is None or rate < breaks)]
        return max(keeping, default=None), breaks

    def next(self) -> float | None:
        """Return the rate to test next; None where the search is done."""
        if not self.verdicts:
            return self.first
        if even := [rate for rate in self.verdicts if self.keeps(rate) is None]:
            return even[0]
        if stalled := [rate for rate in self.verdicts if self._may_have_stalled(rate)]:
            return stalled[0]
        keeps, breaks = self.edges()
        if keeps is None and breaks <= self.lowest:
            return breaks if len(self.verdicts[breaks]) < 2 else None
        if keeps is None:
            lower = min(breaks / self._step(), self.most if self.most < breaks else math.inf)
            return max(rounded(lower), rounded(self.lowest))
        if breaks is None:
            return self._between(keeps, keeps * self._step() ** 2)
        if breaks / keeps > 1 + self.resolution and keeps < (middle := self._between(keeps, breaks)) < breaks:
            return middle
        return next((rate for rate in (breaks, keeps) if len(self.verdicts[rate]) < 2), None)

    def _may_have_stalled(self, rate: float) -> bool:
        """Whether a rate broke the limits once, and its queue should have been short."""
        return self.verdicts[rate] == [False] and rate <= FAR_BELOW * self.most < math.inf

    def _step(self) -> float:
        """The step from the only end that is known: the square of the last one."""
        if len(self.verdicts) < 2:
            return STEP
        last, before = list(self.verdicts)[:-3:-1]
        return max(last / before, before / last) ** 2

    def _between(self, keeps: float, breaks: float) -> float:
        """The next rate between one that keeps and one that breaks."""
        closing = keeps * (1 + CLOSING * self.resolution)
        likely = self.most if keeps < self.most < breaks else breaks
        return rounded(max(math.sqrt(keeps * likely), min(closing, math.sqrt(keeps * breaks))))

    def add(self, rate: float, kept: bool) -> None:
        """Note a test of a rate."""
        self.verdicts.setdefault(rate, []).append(kept)


def rounded(rate: float) -> float:
    """Return a rate with four digits that count."""
    return float(f"{rate:.4g}")


def run(search: Search, test: Callable[[float, int], bool | None], most: int) -> str | None:
    """Test rates until the search is done.

    Args:
        search: see Search.
        test: holds a level of a rate, the how-manieth of this rate from 0; returns whether it keeps the limits, None
            where the search can't go on.
        most: levels.

    Returns:
        Why it ended before it was done, or None.
    """
    for _ in range(most):
        rate = search.next()
        if rate is None:
            return None
        kept = test(rate, len(search.verdicts.get(rate, [])))
        if kept is None:
            return f"nothing is known of {rate:g} requests/s"
        search.add(rate, kept)
    return None if search.next() is None else f"it had its {most} levels"


def capacity(
    verdicts: Search, levels: list[dict[str, Any]], resolution: float | None, ended: str | None
) -> dict[str, Any]:
    """Return ``capacity`` of ``load.json``.

    Args:
        verdicts: of the rates.
        levels: the open loop's levels, as summarised.
        resolution: of a search, or None for rates that were given.
        ended: why a search ended early, as half a sentence, or None.

    Returns:
        ``per_s`` and ``keeps_at``: the highest rate that kept the limits below the lowest that broke them, in requests
        per second; ``breaks_at``: that one; ``bound``: the limit that is furthest behind there, or ``failures``;
        ``note``: where the capacity is bounded on one side alone, or the search ended early; ``resolution``; and
        ``levels``: the number of levels behind it.
    """
    keeps, breaks = verdicts.edges()
    found = {"per_s": keeps, "keeps_at": keeps, "breaks_at": breaks, "bound": None, "note": None}
    notes = []
    if breaks is not None:
        broken = [level for level in levels if level["rate_per_s"] == breaks and level["keeps_limits"] is False]
        found["bound"] = broken[0]["bound"]
    if keeps is None and breaks is not None:
        notes.append(f"the limits are broken at the lowest rate tried, {breaks:g} requests/s")
    elif breaks is None and keeps is not None:
        notes.append(
            f"the limits are kept at the highest rate tried, {keeps:g} requests/s, so the capacity is above it"
        )
    elif keeps is None:
        notes.append("no level could be judged")
    higher = [rate for rate in verdicts.verdicts if breaks is not None and rate > breaks and verdicts.keeps(rate)]
    if higher:
        notes.append(f"{max(higher):g} requests/s kept them all the same, so the edge is blurred")
    if ended:
        notes.append(f"the search ended before its resolution was reached: {ended}")
    if breaks is not None and any("late_sends" in level["flags"] for level in levels if level["rate_per_s"] == breaks):
        notes.append("at the rate that breaks them the load generator itself was late, so the server may hold more")
    found["note"] = "; ".join(notes) + "." if notes else None
    return found | {"resolution": resolution, "levels": len(levels)}
