"""The scatter plots of the report as SVG: latency, memory and throughput against quality."""

import io
import warnings
from itertools import pairwise
from typing import Any
from xml.sax.saxutils import escape

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from scripts.report import labels, limits
from scripts.report.picture import Plot, Point, front, possible
from scripts.report.picture import plot_of as plot_of

# Okabe and Ito's palette, told apart with every common colour blindness; shape says the same as colour.
INK, MUTED, GRID, FRONT, DOMINATED, BASELINE = "#1f2933", "#52606d", "#e4e7eb", "#0072b2", "#7b8794", "#d55e00"
SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "headline-study",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.unicode_minus": True,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
}
DPI = 72
LOG_FROM = 6.0
"""A ratio of largest to smallest from which the x axis is logarithmic."""


def svg(plot: Plot) -> str:
    """Draw a plot as SVG text; the same plot always gives the same bytes."""
    with matplotlib.rc_context(SETTINGS), warnings.catch_warnings():
        # Labels may hold letters that the measuring font lacks; the reader's own fonts draw them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(660 / DPI, 450 / DPI), dpi=DPI)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.095, 0.19, 0.89, 0.715))
        axes.set_title(plot.title, loc="left", fontsize=12.5, fontweight="bold", pad=12)
        _style(axes)
        if plot.points:
            _draw(axes, plot)
        else:
            axes.text(0.5, 0.5, plot.empty, transform=axes.transAxes, ha="center", color=MUTED)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _described(buffer.getvalue(), plot)


def _style(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(DOMINATED)
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=5)


def _draw(axes: Axes, plot: Plot) -> None:
    """Draw points, intervals, front and labels."""
    points, best, maybe = plot.points, front(plot.points), possible(plot.points)
    _limits(axes, plot)
    axes.set_ylabel(plot.y_label)
    for point in points:
        if point.parent:
            ends = zip((point.x, point.y), point.parent, strict=True)
            axes.plot(*ends, color=DOMINATED, linewidth=0.8, alpha=0.4, zorder=0.8)
        if point.x_bounds:
            axes.plot(point.x_bounds, (point.y, point.y), color=DOMINATED, linewidth=0.9, alpha=0.7, zorder=2)
        if point.y_bounds:
            axes.plot((point.x, point.x), point.y_bounds, color=DOMINATED, linewidth=0.9, alpha=0.7, zorder=2)
    line = sorted((points[index].x, points[index].y) for index in best)
    if line:
        axes.step(*zip(*line, strict=True), where="post", color=FRONT, linewidth=1.2, alpha=0.55, zorder=1)
    for index, point in enumerate(points):
        on_front = index in best
        edge = BASELINE if point.baseline else FRONT if on_front or index in maybe else DOMINATED
        axes.plot(
            point.x,
            point.y,
            marker="s" if point.baseline else "o",
            markersize=7,
            markerfacecolor=edge if on_front else "#ffffff",
            markeredgecolor=edge,
            markeredgewidth=1.6,
            linestyle="none",
            zorder=4,
        )
    _label(axes, points, best, maybe, line)
    _legend(axes)


def _limits(axes: Axes, plot: Plot) -> None:
    """Set the axes so that every interval and most labels fit."""
    xs = [end for point in plot.points for end in (point.x_bounds or (point.x, point.x))]
    ys = [end for point in plot.points for end in (point.y_bounds or (point.y, point.y))]
    low, high = min(xs), max(xs)
    logarithmic = low > 0 and high / low >= LOG_FROM
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(low / (high / low) ** 0.08, high * (high / low) ** 0.16)
    else:
        room = (high - low) or high or 1.0
        axes.set_xlim(max(low - 0.08 * room, 0) if low > 0 else low - 0.08 * room, high + 0.16 * room)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.set_xlabel(plot.x_label + (", log scale" if logarithmic else ""))
    room = (max(ys) - min(ys)) or abs(max(ys)) or 0.1
    axes.set_ylim(min(ys) - 0.09 * room, max(ys) + 0.12 * room)


def _label(axes: Axes, points: list[Point], best: set[int], maybe: set[int], line: list[tuple[float, float]]) -> None:
    """Write each technique's label beside its point, with a thin line where it had to move away.

    One that may be on the front has its chance with it.
    """
    to_pixels = axes.transData.transform
    renderer = axes.figure.canvas.get_renderer()
    texts = [
        # Labels come from the configuration: a dollar sign in them is a dollar sign, not mathematics.
        axes.text(
            0,
            0,
            point.label + (f" ({limits.chance(point.chance)})" if index in maybe else ""),
            fontsize=9.5,
            color=INK if index in best | maybe else MUTED,
            parse_math=False,
            zorder=6,
        )
        for index, point in enumerate(points)
    ]
    extents = [written.get_window_extent(renderer) for written in texts]
    frame = axes.get_window_extent(renderer)
    placed = labels.place(
        [tuple(to_pixels((point.x, point.y))) for point in points],
        [(extent.width, extent.height) for extent in extents],
        labels.Box(frame.x0 + 2, frame.y0 + 2, frame.x1 - 2, frame.y1 - 2),
        [box for point in points for box in _bar_boxes(point, to_pixels)] + _step_boxes(line, to_pixels),
    )
    to_data = axes.transData.inverted().transform
    for point, written, spot in zip(points, texts, placed, strict=True):
        written.set_position(to_data((spot.box.left, spot.box.bottom)))
        written.set_verticalalignment("bottom")
        if spot.anchor:
            end = to_data(spot.anchor)
            axes.plot((point.x, end[0]), (point.y, end[1]), color=DOMINATED, linewidth=0.6, zorder=3)


def _bar_boxes(point: Point, to_pixels: Any) -> list[labels.Box]:
    boxes = []
    if point.x_bounds:
        (left, y), (right, _) = to_pixels((point.x_bounds[0], point.y)), to_pixels((point.x_bounds[1], point.y))
        boxes.append(labels.Box(left, y - 1, right, y + 1))
    if point.y_bounds:
        (x, bottom), (_, top) = to_pixels((point.x, point.y_bounds[0])), to_pixels((point.x, point.y_bounds[1]))
        boxes.append(labels.Box(x - 1, bottom, x + 1, top))
    return boxes


def _step_boxes(line: list[tuple[float, float]], to_pixels: Any) -> list[labels.Box]:
    """Return the boxes of the front's line, which goes right and then up from each point to the next."""
    boxes = []
    for (left, low), (right, high) in pairwise([to_pixels(point) for point in line]):
        boxes += [labels.Box(left, low - 1, right, low + 1), labels.Box(right - 1, low, right + 1, high)]
    return boxes


def _legend(axes: Axes) -> None:
    """Say below the plot what the marks mean."""

    def mark(color: str, shape: str, fill: str, meaning: str) -> Line2D:
        style = {"marker": shape, "markerfacecolor": fill, "markeredgecolor": color, "markeredgewidth": 1.6}
        return Line2D([], [], linestyle="none", markersize=6, label=meaning, **style)

    handles = [
        mark(FRONT, "o", FRONT, "on the Pareto front"),
        mark(FRONT, "o", "#ffffff", "possibly (chance)"),
        mark(DOMINATED, "o", "#ffffff", "not on it"),
        mark(BASELINE, "s", "#ffffff", "baseline (filled: on it)"),
        Line2D([], [], color=DOMINATED, linewidth=1.3, label="95% interval"),
        Line2D([], [], color=DOMINATED, linewidth=0.8, alpha=0.5, label="to its parent"),
    ]
    axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(-0.06, -0.13),
        ncols=6,
        frameon=False,
        fontsize=9,
        labelcolor=MUTED,
        handletextpad=0.4,
        columnspacing=0.9,
    )


def _described(drawing: str, plot: Plot) -> str:
    """Give the drawing a title and a description that a screen reader reads."""
    best = front(plot.points)
    told = [f"{point.label}: {point.x:.4g}, {point.y:.4g}" for point in plot.points]
    winners = ", ".join(plot.points[index].label for index in sorted(best)) or "none"
    perhaps = [f"{plot.points[index].label} (chance {limits.chance(plot.points[index].chance)})"
               for index in sorted(possible(plot.points))]  # fmt: skip
    winners += f". Possibly on it: {', '.join(perhaps)}" if perhaps else ""
    description = f"{plot.x_label}; {plot.y_label}. On the Pareto front: {winners}. All points: {'; '.join(told)}."
    start = drawing.index("<svg")
    end = drawing.index(">", start)
    described = f"<title>{escape(plot.title)}</title><desc>{escape(description)}</desc>"
    return f'{drawing[:end]} role="img">\n {described}{drawing[end + 1 :]}'
