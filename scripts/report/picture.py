"""What a scatter plot of the report shows: its points, its axes, and which techniques are on the Pareto front."""

from dataclasses import dataclass, replace
from typing import Any

from scripts.comparison import fronts
from scripts.report import axes, limits, numbers, rows, text
from scripts.report.axes import Axis


@dataclass(frozen=True)
class Point:
    """One technique: its place, the ends of its intervals, whether it is the baseline, and its parent's place.

    ``chance`` is that of being on the Pareto front; ``leads``: whether it has the highest score.
    """

    label: str
    x: float
    y: float
    x_bounds: tuple[float, float] | None
    y_bounds: tuple[float, float] | None
    baseline: bool = False
    parent: tuple[float, float] | None = None
    chance: float = 1.0
    leads: bool = False


@dataclass(frozen=True)
class Plot:
    """What a plot shows; ``empty`` says why it shows nothing."""

    title: str
    x_label: str
    y_label: str
    points: list[Point]
    left_out: list[str]
    empty: str = "No technique has figures to show."
    x_axis: Axis = axes.ACROSS[0]
    y_axis: Axis = axes.UP[0]


TITLES = {"latency_s": "Latency", "peak_memory_bytes": "Peak memory", rows.PER_SAMPLE: "Throughput"}
"""What each x axis sets against the other one."""
FILES = {"latency_quality": "latency_s", "memory_quality": "peak_memory_bytes", "throughput_quality": rows.PER_SAMPLE}
"""The name of each plot's file, and what is on its x axis."""


def front(points: list[Point]) -> set[int]:
    """Return the indexes of the points that are on the Pareto front for certain."""
    return {index for index, point in enumerate(points) if fronts.place(point.chance) == "firm"}


def possible(points: list[Point]) -> set[int]:
    """Return the indexes of the points that may be on the Pareto front."""
    return {index for index, point in enumerate(points) if fronts.place(point.chance) == "possible"}


def named(points: list[Point]) -> set[int]:
    """Return the indexes of the points that have a label: the front, the baseline and the highest score."""
    others = {index for index, point in enumerate(points) if point.baseline or point.leads}
    return front(points) | possible(points) | others


def front_sentence(plot: Plot) -> str:
    """Return a plot's Pareto front in words, from the lowest x on: who is on it, and who may be with which chance."""
    if not plot.points:
        return plot.empty
    sure, perhaps = (
        sorted((plot.points[index] for index in found(plot.points)), key=lambda point: point.x)
        for found in (front, possible)
    )
    positive = [point.x for point in [*sure, *perhaps] if point.x > 0]
    digits = max((numbers.digits_after_point(x, 3) for x in positive), default=0)

    def told(point: Point, more: str = "") -> str:
        return f"{point.label} ({numbers.fixed(point.x, digits)}; {point.y:.3g}{more})"

    axes = f"{plot.x_label.split(' (')[0]}; {plot.y_label.split(' (')[0]}"
    said = f"On the Pareto front ({axes}): {', '.join(map(told, sure)) or 'none for certain'}."
    if perhaps:
        chances = [told(point, f"; chance {limits.chance(point.chance)}") for point in perhaps]
        said += f" Possibly on it: {', '.join(chances)}."
    return said


def plot_of(comparison: dict[str, Any], x_key: str) -> Plot:
    """Choose the points of a plot.

    Args:
        comparison: the content of comparison.json.
        x_key: one of :data:`TITLES`.
    """
    axis, y_key = axes.BY_KEY[x_key], quality_key(comparison)
    measured = y_key == "rougeL"
    # Throughput against itself would be one line.
    shown = [] if x_key == rows.PER_SAMPLE and not measured else _shown(comparison, x_key, y_key)
    scale = numbers.column_scale([rows.figure(technique, x_key)["value"] for technique in shown], axes.UNITS[axis.kind])
    places = {t["name"]: (rows.figure(t, x_key)["value"] / scale.size, t["figures"][y_key]["value"]) for t in shown}
    leading = (rows.ranked(comparison) or [{}])[0].get("technique")
    found = fronts.chances(places, x_key, y_key, False, comparison)
    points = [
        Point(
            text.inert(text.shortened(technique["label"], 34)),
            *places[technique["name"]],
            _bounds(rows.figure(technique, x_key), scale.size),
            _bounds(technique["figures"][y_key], 1.0),
            technique["name"] == comparison["baseline"]["name"],
            places.get(technique["parent"]),
            found[technique["name"]][0],
            technique["name"] == leading,
        )
        for technique in shown
    ]
    against = "quality" if measured else "throughput (quality was not measured: random weights)"
    plot = Plot(
        f"{TITLES[x_key]} against {against}",
        f"{axis.name}{f', {axis.note},' if axis.note else ''} in {scale.unit} (lower is better)",
        "ROUGE-L F1, mean (higher is better)" if measured else "Throughput in samples/s (higher is better)",
        points,
        [text.inert(t["label"]) for t in comparison["techniques"] if t not in shown],
        x_axis=axis,
        y_axis=axes.BY_KEY[y_key],
    )
    if x_key == rows.PER_SAMPLE and not measured:
        return replace(
            plot, title=f"{TITLES[x_key]} against quality", empty="Quality was not measured: random weights."
        )
    return plot


def quality_key(comparison: dict[str, Any]) -> str:
    """Return what the y axis shows: quality, or throughput where no technique has a quality."""
    return fronts.quality_key(comparison["techniques"])


def _shown(comparison: dict[str, Any], x_key: str, y_key: str) -> list[dict[str, Any]]:
    """Return the techniques that have both figures."""
    return [
        technique
        for technique in rows.ran(comparison["techniques"])
        if all(rows.figure(technique, key)["value"] is not None for key in (x_key, y_key))
    ]


def _bounds(figure: dict[str, Any], size: float) -> tuple[float, float] | None:
    if figure["low"] is None or figure["high"] is None:
        return None
    return figure["low"] / size, figure["high"] / size
