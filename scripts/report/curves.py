"""Small curves of a sweep as SVG: latency and quality over the value that is swept, with 95% intervals."""

import io
import math
import warnings
from typing import Any
from xml.sax.saxutils import escape

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from scripts.report import numbers, plots, text

SIZE = (560, 190)
FEWEST = 2


def panels(comparison: dict[str, Any], sweep: dict[str, Any]) -> list[dict[str, Any]]:
    """Choose what the curves of a sweep show.

    Returns:
        Per panel ``label`` and ``points`` of (index of the value in the sweep, y, low, high); quality, or throughput
        where it was not measured, second. Empty with fewer than two points that ran.
    """
    techniques = {technique["name"]: technique for technique in comparison["techniques"]}
    ran = [
        (index, techniques[point["technique"]]["figures"])
        for index, point in enumerate(sweep["points"])
        if point["status"] == "ok" and point["technique"] in techniques
    ]
    if len(ran) < FEWEST:
        return []
    measured = any(figures["rougeL"]["value"] is not None for _, figures in ran)
    second = ("rougeL", "ROUGE-L F1") if measured else ("throughput_samples_per_s", "Samples/s")
    scale = numbers.column_scale([figures["latency_s"]["value"] for _, figures in ran], numbers.TIME)
    return [
        {"label": f"Mean latency in {scale.unit}", "points": _points(ran, "latency_s", scale.size)},
        {"label": second[1], "points": _points(ran, second[0], 1.0)},
    ]


def svg(comparison: dict[str, Any], sweep: dict[str, Any]) -> str:
    """Draw the curves of a sweep, or return nothing where there are too few points; the same gives the same bytes."""
    shown = panels(comparison, sweep)
    if not shown:
        return ""
    ticks = [text.inert(text.shortened(text.plain(point["value"]), 12)) for point in sweep["points"]]
    places = positions([point["value"] for point in sweep["points"]])
    # Ticks that would run into each other: every second one is enough to read a curve by.
    step = 1 + len(ticks) // 9
    with matplotlib.rc_context(plots.SETTINGS | {"font.size": 9}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(SIZE[0] / plots.DPI, SIZE[1] / plots.DPI), dpi=plots.DPI)
        FigureCanvasAgg(figure)
        for number, panel in enumerate(shown):
            axes = figure.add_axes((0.085 + 0.5 * number, 0.2, 0.4, 0.64))
            _draw(axes, panel, places)
            axes.set_xticks(places[::step], ticks[::step], parse_math=False)
            axes.set_xlabel(text.inert(text.shortened(str(sweep["facet"] or ""), 40)), parse_math=False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawing = buffer.getvalue()
    start = drawing.index(">", drawing.index("<svg"))
    told = escape(text.inert(f"Latency and quality over {sweep['facet']}"))
    return f'{drawing[:start]} role="img">\n<title>{told}</title>{drawing[start + 1 :]}'


def positions(values: list[Any]) -> list[float]:
    """Place values by their size where all are different numbers (by its logarithm where they lie far apart), else one
    after the other."""
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if numeric and len(set(values)) == len(values):
        if min(values) > 0 and max(values) / min(values) >= plots.LOG_FROM:
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
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(plots.DOMINATED)
    axes.grid(True, axis="y", color=plots.GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=4)
    for index, _, low, high in panel["points"]:
        if low is not None and high is not None:
            axes.plot((places[index],) * 2, (low, high), color=plots.DOMINATED, linewidth=1.2, zorder=2)
    line = sorted((places[index], value) for index, value, _, _ in panel["points"])
    axes.plot(*zip(*line, strict=True), color=plots.FRONT, linewidth=1.2, marker="o", markersize=4.5, zorder=3)
    room = (max(places) - min(places)) or 1.0
    # From zero, so that a curve is as steep as what it shows.
    tops = [end for _, value, _, high in panel["points"] for end in (value, high) if end is not None]
    axes.set_ylim(0, 1.12 * max(tops, default=0) or 1)
    axes.set_xlim(min(places) - 0.06 * room, max(places) + 0.06 * room)
