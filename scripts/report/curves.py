"""Small curves of a sweep as SVG: latency, throughput and quality over the value that is swept.

95% intervals stand at the points, and a ring marks where a curve bends most.
"""

import math
from dataclasses import replace
from typing import Any

from matplotlib.axes import Axes

from scripts.report import knee, numbers, plots, rows, text, words

PANEL, HEIGHT = 290, 190
FEWEST = 2
LOG_FROM = 6.0
"""A ratio of largest to smallest value from which they are placed by their logarithm."""


def panels(comparison: dict[str, Any], sweep: dict[str, Any]) -> list[dict[str, Any]]:
    """Choose what the curves of a sweep show.

    Returns:
        Per panel ``label``, ``name`` as it stands in a sentence, ``points`` of (index of the value in the sweep, y,
        low, high), and ``knee``; quality only where it was measured. Empty with fewer than two points that ran.
    """
    techniques = rows.by_name(comparison)
    ran = [
        (index, techniques[point["technique"]]["figures"])
        for index, point in enumerate(sweep["points"])
        if point["status"] == "ok" and point["technique"] in techniques
    ]
    if len(ran) < FEWEST:
        return []
    measured = any(figures["rougeL"]["value"] is not None for _, figures in ran)
    scale = numbers.column_scale([figures["latency_s"]["value"] for _, figures in ran], numbers.TIME)
    chosen = [
        (f"Mean latency in {scale.unit}", "latency", "latency_s", scale.size),
        ("Samples/s", "samples a second", "throughput_samples_per_s", 1.0),
    ]
    if measured:
        chosen.append(("ROUGE-L F1", "ROUGE-L", "rougeL", 1.0))
    values = [point["value"] for point in sweep["points"]]
    found = []
    for label, name, key, size in chosen:
        points = _points(ran, key, size)
        found.append({"label": label, "name": name, "points": points, "knee": _knee(points, values)})
    return found


def knees(comparison: dict[str, Any], sweep: dict[str, Any]) -> list[str]:
    """Return for each curve of a sweep where it bends, or why it has no knee, in a sentence."""
    values = [text.plain(point["value"]) for point in sweep["points"]]
    bends, without = [], {}
    for panel in panels(comparison, sweep):
        found = panel["knee"]
        if found.index is None:
            without.setdefault(found.reason, []).append(panel["name"])
        else:
            value = values[panel["points"][found.index][0]]
            what = "turns" if found.turns else "has its knee"
            bends.append(f"The curve of {panel['name']} {what} at {value}.")
    return bends + [f"No knee in {words.listed(names)}: {reason}." for reason, names in without.items()]


def _knee(points: list[tuple], values: list[Any]) -> knee.Knee:
    """Find the knee of a panel; its index counts the panel's own points."""
    if not _numeric([values[index] for index, *_ in points]):
        return knee.Knee(None, "the values are no different numbers")
    order = sorted(range(len(points)), key=lambda place: values[points[place][0]])
    found = knee.knee([knee.Point(float(values[points[place][0]]), *points[place][1:]) for place in order])
    return found if found.index is None else replace(found, index=order[found.index])


def _numeric(values: list[Any]) -> bool:
    """Return whether all values are different numbers."""
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return numeric and len(set(values)) == len(values)


def svg(comparison: dict[str, Any], sweep: dict[str, Any]) -> str:
    """Draw the curves of a sweep, or return nothing where there are too few points; the same gives the same bytes."""
    shown = panels(comparison, sweep)
    if not shown:
        return ""
    ticks = [text.inert(text.shortened(text.plain(point["value"]), 12)) for point in sweep["points"]]
    places = positions([point["value"] for point in sweep["points"]])
    # Ticks that would run into each other: every second one is enough to read a curve by.
    step = 1 + len(ticks) // 9
    width = PANEL * len(shown)
    with plots.canvas(width, HEIGHT, font_size=9) as figure:
        for number, panel in enumerate(shown):
            left = (PANEL * number + 48) / width
            axes = figure.add_axes((left, 0.2, (PANEL - 64) / width, 0.64))
            _draw(axes, panel, places)
            axes.set_xticks(places[::step], ticks[::step], parse_math=False)
            axes.set_xlabel(text.inert(text.shortened(str(sweep["facet"] or ""), 40)), parse_math=False)
        names = words.listed([panel["name"] for panel in shown])
        told = f"{names[:1].upper()}{names[1:]} over {sweep['facet']}. {' '.join(knees(comparison, sweep))}"
        return plots.written(figure, text.inert(told))


def positions(values: list[Any]) -> list[float]:
    """Place values by their size where all are different numbers (by its logarithm where they lie far apart), else one
    after the other."""
    if _numeric(values):
        if min(values) > 0 and max(values) / min(values) >= LOG_FROM:
            return [math.log(value) for value in values]
        return [float(value) for value in values]
    return [float(index) for index in range(len(values))]


def _points(ran: list[tuple[int, dict[str, Any]]], key: str, size: float) -> list[tuple]:
    scaled = []
    for index, figures in ran:
        figure = figures[key]
        if figure["value"] is not None:
            ends = (None if figure[end] is None else figure[end] / size for end in ("low", "high"))
            scaled.append((index, figure["value"] / size, *ends))
    return scaled


def _draw(axes: Axes, panel: dict[str, Any], places: list[float]) -> None:
    axes.set_title(panel["label"], loc="left", fontsize=9, color=plots.MUTED, pad=6)
    plots.style(axes, "y", pad=4)
    for index, _, low, high in panel["points"]:
        if low is not None and high is not None:
            axes.plot((places[index],) * 2, (low, high), color=plots.DOMINATED, linewidth=1.2, zorder=2)
    line = sorted((places[index], value) for index, value, _, _ in panel["points"])
    axes.plot(*zip(*line, strict=True), color=plots.FRONT, linewidth=1.2, marker="o", markersize=4.5, zorder=3)
    if panel["knee"].index is not None:
        index, value, *_ = panel["points"][panel["knee"].index]
        axes.plot(places[index], value, marker="o", markersize=11, fillstyle="none", color=plots.BASELINE, zorder=4)
        name = "turn" if panel["knee"].turns else "knee"
        beside = {"xytext": (0, -14), "textcoords": "offset points", "ha": "center"}
        axes.annotate(name, (places[index], value), fontsize=8, color=plots.BASELINE, **beside)
    room = (max(places) - min(places)) or 1.0
    # From zero, so that a curve is as steep as what it shows.
    tops = [end for _, value, _, high in panel["points"] for end in (value, high) if end is not None]
    axes.set_ylim(0, 1.12 * max(tops, default=0) or 1)
    axes.set_xlim(min(places) - 0.06 * room, max(places) + 0.06 * room)
