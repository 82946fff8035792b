"""Where to put the labels of a scatter plot so that they cover neither each other nor a point.

A box is a row of left, bottom, right and top, in pixels. report/scripts/labels.js does the same for the live picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Pairs = Sequence[tuple[float, float]]
RADII = (7, 11, 16, 23, 32, 44, 58, 75, 95, 120)
BESIDE = RADII[1]
"""Farther from its point than this, a label has a line to it."""
ANGLES = 24
SHARES = np.arange(2, 9)[:, None] / 8
"""Where along its line a label is looked at for what the line crosses."""


@dataclass(frozen=True)
class Placed:
    """A label's box, and where the line to its point ends (None when the label sits beside the point)."""

    box: np.ndarray
    anchor: np.ndarray | None


def place(
    points: Pairs,
    sizes: Pairs,
    frame: Sequence[float],
    bars: np.ndarray,
    radius: float = 5,
    others: np.ndarray | None = None,
    kept_free: np.ndarray | None = None,
) -> list[Placed]:
    """Place one label a point.

    Labels are set one after the other, those of crowded points first, each at the candidate position of lowest cost:
    overlaps cost most, then leaving the frame, then crossing lines and bars, then distance. The result depends on the
    arguments alone.

    Args:
        points: centres of the markers, in pixels.
        sizes: width and height of each label.
        frame: the box in which labels may be.
        bars: boxes of the error bars, (bars, 4).
        radius: of a marker.
        others: centres of markers without a label, (others, 2).
        kept_free: boxes that no label should cover, (boxes, 4).
    """
    centres = np.array(points, dtype=float).reshape(-1, 2)
    every = centres if others is None else np.vstack([centres, np.reshape(others, (-1, 2))])
    markers = np.hstack([every - radius, every + radius])
    free = np.empty((0, 4)) if kept_free is None else kept_free
    crowd = (np.linalg.norm(centres[:, None] - centres, axis=2) < 60).sum(axis=1)
    placed: dict[int, Placed] = {}
    for index in np.argsort(-crowd, kind="stable"):
        point, boxes = centres[index], _candidates(centres[index], np.array(sizes[index]))
        near = np.clip(point, boxes[:, :2], boxes[:, 2:])
        away = np.repeat(np.array(RADII) > BESIDE, ANGLES)
        roomy = boxes + np.array([-2, -1, 2, 1])
        beside = np.array([other.box for other in placed.values()]).reshape(-1, 4)
        ends = np.array([other.anchor for other in placed.values() if other.anchor is not None]).reshape(-1, 2)
        outside = np.hstack([np.array(frame[:2]) - boxes[:, :2], boxes[:, 2:] - frame[2:]]).clip(min=0)
        line = point + SHARES * (near - point)[:, None]
        crossed = 40 * _inside(line, beside) + 25 * _inside(line, np.delete(markers, index, axis=0))
        cost = np.linalg.norm(point - near, axis=1) + 200 * outside.sum(axis=1) + away * crossed.sum(axis=1)
        cost += 50 * _overlap(roomy, beside) + 30 * _overlap(roomy, np.vstack([markers, free]))
        cost += 0.3 * _overlap(boxes, bars)
        cost += 60 * _within(ends[:, None], roomy).sum(axis=0)
        best = np.argmin(cost)
        placed[index] = Placed(boxes[best], near[best] if away[best] else None)
    return [placed[index] for index in range(len(centres))]


def _candidates(point: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return boxes around a point, the nearest and most usual (to the right) first."""
    step = np.arange(ANGLES)
    angles = np.tile(2 * np.pi / ANGLES * ((step + 1) // 2 * np.where(step % 2, -1, 1)), len(RADII))
    direction = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # The side of the box that faces the point touches the circle; straight up or down its middle does.
    across = np.where(np.abs(direction[:, 0]) < 0.3, 0, np.sign(direction[:, 0]))
    side = np.stack([across, np.clip(2 * direction[:, 1], -1, 1)], axis=1)
    centre = point + np.repeat(RADII, ANGLES)[:, None] * direction + side * size / 2
    return np.hstack([centre - size / 2, centre + size / 2])


def _overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the area that each box shares with all others together."""
    ends = np.minimum(boxes[:, None, 2:], others[:, 2:]) - np.maximum(boxes[:, None, :2], others[:, :2])
    return ends.clip(min=0).prod(axis=2).sum(axis=1)


def _inside(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return in how many boxes each point lies."""
    return _within(points[..., None, :], boxes).sum(axis=-1)


def _within(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return whether points lie in boxes, of shapes that are broadcast against each other but for the last axis."""
    return ((boxes[..., :2] <= points) & (points <= boxes[..., 2:])).all(axis=-1)
