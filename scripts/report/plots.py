"""The scatter plots of the report as SVG: latency, memory and throughput against quality."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from xml.sax.saxutils import escape

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from scripts.report import labels, limits
from scripts.report.picture import Plot, Point, front, front_sentence, possible

Line = tuple[tuple[float, float], tuple[float, float]]

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


@contextmanager
def canvas(width: float, height: float, font_size: float = 10) -> Iterator[Figure]:
    """Give a figure of a size in pixels, with the settings that all drawings of the report have."""
    with matplotlib.rc_context(SETTINGS | {"font.size": font_size}), warnings.catch_warnings():
        # Labels may hold letters that the measuring font lacks; the reader's own fonts draw them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
        FigureCanvasAgg(figure)
        yield figure


def written(figure: Figure, title: str, description: str = "") -> str:
    """Return a figure as SVG text with a title and a description, which a screen reader reads."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    start, end = buffer.getvalue().split("<svg", 1)
    attributes, rest = end.split(">", 1)
    described = f"<title>{escape(title)}</title>" + (f"<desc>{escape(description)}</desc>" if description else "")
    return f'{start}<svg{attributes} role="img">\n {described}{rest}'


def svg(plot: Plot) -> str:
    """Draw a plot as SVG text; the same plot always gives the same bytes."""
    with canvas(660, 450) as figure:
        axes = figure.add_axes((0.095, 0.19, 0.89, 0.715))
        axes.set_title(plot.title, loc="left", fontsize=12.5, fontweight="bold", pad=12)
        style(axes)
        if plot.points:
            _draw(axes, plot)
        else:
            axes.text(0.5, 0.5, plot.empty, transform=axes.transAxes, ha="center", color=MUTED)
        told = "; ".join(f"{point.label}: {point.x:.4g}, {point.y:.4g}" for point in plot.points)
        return written(figure, plot.title, f"{front_sentence(plot)} All points: {told or 'none'}.")


def style(axes: Axes, grid: str = "both", pad: float = 5) -> None:
    """Give axes a line below, and a grid."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(DOMINATED)
    axes.grid(True, axis=grid, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=pad)


def _draw(axes: Axes, plot: Plot) -> None:
    """Draw points, intervals, front and labels."""
    points, best, maybe = plot.points, front(plot.points), possible(plot.points)
    _limits(axes, plot)
    axes.set_ylabel(plot.y_label)
    for point in points:
        if point.parent:
            ends = zip((point.x, point.y), point.parent, strict=True)
            axes.plot(*ends, color=DOMINATED, linewidth=0.8, alpha=0.4, zorder=0.8)
    bars = _bars(points)
    for start, end in bars:
        axes.plot(*zip(start, end, strict=True), color=DOMINATED, linewidth=0.9, alpha=0.7, zorder=2)
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
    # The front goes right and then up from each point to the next.
    corners = [(right, low) for (_, low), (right, _) in pairwise(line)]
    steps = [*zip(line, corners, strict=False), *zip(corners, line[1:], strict=True)]
    _label(axes, points, best, maybe, bars + steps)
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


def _label(axes: Axes, points: list[Point], best: set[int], maybe: set[int], lines: list[Line]) -> None:
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
    extents = [drawn.get_window_extent(renderer) for drawn in texts]
    frame = axes.get_window_extent(renderer)
    ends = to_pixels(np.reshape(lines, (-1, 2))).reshape(-1, 2, 2)
    placed = labels.place(
        to_pixels([(point.x, point.y) for point in points]),
        [(extent.width, extent.height) for extent in extents],
        frame.padded(-2).extents,
        np.hstack([ends.min(axis=1) - 1, ends.max(axis=1) + 1]),
    )
    to_data = axes.transData.inverted().transform
    for point, drawn, spot in zip(points, texts, placed, strict=True):
        drawn.set_position(to_data(spot.box[:2]))
        drawn.set_verticalalignment("bottom")
        if spot.anchor is not None:
            end = to_data(spot.anchor)
            axes.plot((point.x, end[0]), (point.y, end[1]), color=DOMINATED, linewidth=0.6, zorder=3)


def _bars(points: list[Point]) -> list[Line]:
    """Return the two ends of every interval."""
    across = [tuple((x, point.y) for x in point.x_bounds) for point in points if point.x_bounds]
    return across + [tuple((point.x, y) for y in point.y_bounds) for point in points if point.y_bounds]


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
