"""Where a curve bends: the point farthest from the straight line between its ends.

After Kneedle (Satopää et al., Finding a "Kneedle" in a Haystack, ICDCS workshops 2011), for the few points of a sweep:
without its smoothing and with intervals instead of its sensitivity.
"""

from collections.abc import Sequence
from dataclasses import dataclass

FEWEST = 4
STRAIGHT = 0.1
"""A curve is called straight where it leaves its chord by less than this share of its own range."""


@dataclass(frozen=True)
class Point:
    """A point of a curve; ``low`` and ``high`` are None where it has no interval."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Knee:
    """The place of a knee among the points, or None and why there is none; it ``turns`` where a curve goes back."""

    index: int | None
    reason: str = ""
    turns: bool = False


def knee(points: Sequence[Point]) -> Knee:
    """Find the knee of a curve.

    Args:
        points: in the order of x; x are the values themselves, since a logarithmic axis bends every curve.
    """
    if len(points) < FEWEST:
        return Knee(None, f"a knee needs {FEWEST} points")
    first, last = points[0], points[-1]
    height = max(point.y for point in points) - min(point.y for point in points)
    if not height or first.x == last.x:
        return Knee(None, "the curve is flat")
    distances = [abs(point.y - _between(first, last, point.x, first.y, last.y)) / height for point in points]
    index = max(range(len(points)), key=lambda place: distances[place])
    if distances[index] < STRAIGHT:
        return Knee(None, "the curve is nearly straight")
    if _swallowed(points[index], first, last):
        return Knee(None, "the intervals leave room for a straight line")
    others = [point.y for place, point in enumerate(points) if place != index]
    return Knee(index, turns=not min(others) <= points[index].y <= max(others))


def _swallowed(point: Point, first: Point, last: Point) -> bool:
    """Return whether a line through the intervals of both ends can pass through the point's own interval."""
    if None in (point.low, point.high, first.low, first.high, last.low, last.high):
        return False
    low = _between(first, last, point.x, first.low, last.low)
    high = _between(first, last, point.x, first.high, last.high)
    return point.low <= high and low <= point.high


def _between(first: Point, last: Point, x: float, start: float, end: float) -> float:
    return start + (end - start) * (x - first.x) / (last.x - first.x)
