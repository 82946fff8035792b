"""Where to put the labels of a scatter plot so that they cover neither each other nor a point."""

import math
from dataclasses import dataclass

RADII = (7, 11, 16, 23, 32, 44, 58, 75, 95, 120)
ANGLES = 24


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: "Box") -> float:
        """Return the area that two boxes share."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return width * height if width > 0 and height > 0 else 0.0

    def outside(self, frame: "Box") -> float:
        """Return how far this box reaches beyond a frame, in pixels."""
        beyond = (frame.left - self.left, frame.bottom - self.bottom, self.right - frame.right, self.top - frame.top)
        return sum(max(distance, 0.0) for distance in beyond)


@dataclass(frozen=True)
class Placed:
    """A label's box, and where the line to its point ends (None when the label sits beside the point)."""

    box: Box
    anchor: tuple[float, float] | None


def place(
    points: list[tuple[float, float]], sizes: list[tuple[float, float]], frame: Box, bars: list[Box], radius: float = 5
) -> list[Placed]:
    """Place one label a point.

    Labels are set one after the other, those of crowded points first, each at the candidate position of lowest cost:
    overlaps cost most, then leaving the frame, then crossing lines and bars, then distance. The result depends on the
    arguments alone.

    Args:
        points: centres of the markers, in pixels.
        sizes: width and height of each label.
        frame: where labels may be.
        bars: boxes of the error bars.
        radius: of a marker.
    """
    markers = [Box(x - radius, y - radius, x + radius, y + radius) for x, y in points]
    placed: dict[int, Placed] = {}
    for index in sorted(range(len(points)), key=lambda i: (-_crowd(points, i), i)):
        others = list(placed.values())
        costs = [
            (_cost(candidate, points[index], index, markers, others, frame, bars), number, candidate)
            for number, candidate in enumerate(_candidates(points[index], sizes[index]))
        ]
        placed[index] = min(costs, key=lambda entry: entry[:2])[2]
    return [placed[index] for index in range(len(points))]


def _crowd(points: list[tuple[float, float]], index: int) -> int:
    """Count the points within 60 pixels of one."""
    return sum(math.dist(points[index], other) < 60 for other in points)


def _candidates(point: tuple[float, float], size: tuple[float, float]) -> list[Placed]:
    """Return positions around a point, the nearest and most usual (to the right) first."""
    x, y = point
    width, height = size
    found = []
    for radius in RADII:
        for step in range(ANGLES):
            angle = math.tau * ((step + 1) // 2 * (-1 if step % 2 else 1)) / ANGLES
            dx, dy = math.cos(angle), math.sin(angle)
            # The side of the box that faces the point touches the circle.
            centre_x = x + radius * dx + width / 2 * _sign(dx)
            centre_y = y + radius * dy + height / 2 * max(-1.0, min(1.0, 2 * dy))
            box = Box(centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2)
            anchor = None
            if radius > RADII[1]:
                anchor = (min(max(x, box.left), box.right), min(max(y, box.bottom), box.top))
            found.append(Placed(box, anchor))
    return found


def _sign(value: float) -> float:
    """Return -1, 0 or 1, with zero for what is nearly straight up or down."""
    return 0.0 if abs(value) < 0.3 else math.copysign(1.0, value)


def _cost(
    candidate: Placed,
    point: tuple[float, float],
    index: int,
    markers: list[Box],
    others: list[Placed],
    frame: Box,
    bars: list[Box],
) -> float:
    """Return how bad a position is."""
    box = candidate.box
    roomy = Box(box.left - 2, box.bottom - 1, box.right + 2, box.top + 1)
    cost = 50 * sum(roomy.overlap(other.box) for other in others)
    cost += 30 * sum(roomy.overlap(marker) for marker in markers)
    cost += 200 * box.outside(frame)
    cost += 2 * sum(box.overlap(bar) for bar in bars)
    lines = [(other.anchor, number) for number, other in enumerate(others) if other.anchor]
    cost += 60 * sum(_inside(anchor, roomy) for anchor, _ in lines)
    if candidate.anchor:
        steps = [_between(point, candidate.anchor, share / 8) for share in range(2, 9)]
        cost += 40 * sum(_inside(step, other.box) for step in steps for other in others)
        cost += 25 * sum(_inside(step, m) for step in steps for i, m in enumerate(markers) if i != index)
    near = (min(max(point[0], box.left), box.right), min(max(point[1], box.bottom), box.top))
    return cost + math.dist(point, near)


def _between(start: tuple[float, float], end: tuple[float, float], share: float) -> tuple[float, float]:
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def _inside(point: tuple[float, float], box: Box) -> bool:
    return box.left <= point[0] <= box.right and box.bottom <= point[1] <= box.top
