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
from matplotlib.patches import Wedge
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from matplotlib.transforms import Affine2D, Transform

from scripts.report import axes as scales
from scripts.report import labels, limits
from scripts.report.picture import Plot, Point, front, front_sentence, named, possible

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
TICKS = 10
"""The most ticks of a logarithmic scale."""
BETTER, CORNER = "better", (0.34, 0.42)
"""What stands in the better corner, and what parts of the width and height that takes, as in the live picture."""


RING = {"marker": "o", "markerfacecolor": "none", "markeredgecolor": FRONT, "markeredgewidth": 1.2}
"""Around the technique with the highest score."""


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
    word = _corner(axes)
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
        if point.leads:
            axes.plot(point.x, point.y, **RING, markersize=12, linestyle="none", zorder=3.5)
    # The front goes right and then up from each point to the next.
    corners = [(right, low) for (_, low), (right, _) in pairwise(line)]
    steps = [*zip(line, corners, strict=False), *zip(corners, line[1:], strict=True)]
    _label(axes, points, best, maybe, bars + steps, word)
    _legend(axes)


def _limits(axes: Axes, plot: Plot) -> None:
    """Set the axes so that every interval and most labels fit, on logarithmic scales where the ranges ask for them."""
    for scale, axis, places, ends, label, before, after in (
        ("x", plot.x_axis, [p.x for p in plot.points], [p.x_bounds for p in plot.points], plot.x_label, 0.08, 0.16),
        ("y", plot.y_axis, [p.y for p in plot.points], [p.y_bounds for p in plot.points], plot.y_label, 0.09, 0.12),
    ):
        known = [*places, *(end for pair in ends for end in pair or ())]
        low, high = min(known), max(known)
        logarithmic = scales.is_logarithmic(axis, places) and low > 0
        if logarithmic:
            low, high = low / (high / low) ** before, high * (high / low) ** after
        else:
            room = (high - low) or abs(high) or 1.0
            low, high = max(low - before * room, 0) if low >= 0 else low - before * room, high + after * room
        axes.set(**{f"{scale}scale": "log" if logarithmic else "linear", f"{scale}lim": (low, high)})
        drawn = getattr(axes, f"{scale}axis")
        if logarithmic:
            drawn.set_major_locator(FixedLocator(scales.log_ticks(low, high, TICKS)))
            drawn.set_minor_locator(NullLocator())
        else:
            drawn.set_major_locator(MaxNLocator(TICKS - 1, steps=[1, 2, 5, 10]))
        drawn.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        drawn.set_label_text(_said_logarithmic(label) if logarithmic else label)


def _said_logarithmic(label: str) -> str:
    """Return the label of a logarithmic axis; what it says in brackets stays there."""
    return f"{label[:-1]}, log scale)" if label.endswith(")") else f"{label}, log scale"


def _corner(axes: Axes) -> Text:
    """Shade the better corner and name it."""
    axes.add_patch(
        Wedge((0, 1), 1, 270, 360, transform=_stretched(axes), facecolor=FRONT, alpha=0.09, linewidth=0, zorder=0.3)
    )
    behind = {"facecolor": "#ffffff", "edgecolor": "none", "alpha": 0.7, "pad": 1.0}
    return axes.text(
        0.012, 0.985, BETTER, transform=axes.transAxes, va="top", color=FRONT, fontsize=9.5, fontweight="bold",
        zorder=0.9, bbox=behind,
    )  # fmt: skip


def _stretched(axes: Axes) -> Transform:
    """Return the place of the corner: a circle around (0, 1), drawn so wide and high, in parts of the axes."""
    wide, high = CORNER
    return Affine2D().translate(0, -1).scale(wide, high).translate(0, 1) + axes.transAxes


def _label(axes: Axes, points: list[Point], best: set[int], maybe: set[int], lines: list[Line], word: Text) -> None:
    """Write the labels of the front, the baseline and the highest score, with a thin line where one had to move away.

    One that may be on the front has its chance with it.
    """
    shown = sorted(named(points))
    to_pixels = axes.transData.transform
    renderer = axes.figure.canvas.get_renderer()
    texts = [
        # Labels come from the configuration: a dollar sign in them is a dollar sign, not mathematics.
        axes.text(
            0,
            0,
            points[index].label + (f" ({limits.chance(points[index].chance)})" if index in maybe else ""),
            fontsize=9.5,
            color=INK if index in best | maybe else MUTED,
            parse_math=False,
            zorder=6,
        )
        for index in shown
    ]
    extents = [drawn.get_window_extent(renderer) for drawn in texts]
    frame = axes.get_window_extent(renderer)
    ends = to_pixels(np.reshape(lines, (-1, 2))).reshape(-1, 2, 2)
    centres = to_pixels([(point.x, point.y) for point in points])
    placed = labels.place(
        centres[shown],
        [(extent.width, extent.height) for extent in extents],
        frame.padded(-2).extents,
        np.hstack([ends.min(axis=1) - 1, ends.max(axis=1) + 1]),
        others=np.delete(centres, shown, axis=0),
        kept_free=np.array([word.get_window_extent(renderer).extents]),
    )
    to_data = axes.transData.inverted().transform
    for index, drawn, spot in zip(shown, texts, placed, strict=True):
        drawn.set_position(to_data(spot.box[:2]))
        drawn.set_verticalalignment("bottom")
        if spot.anchor is not None:
            end, point = to_data(spot.anchor), points[index]
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
        mark(BASELINE, "s", "#ffffff", "baseline"),
        Line2D([], [], **RING, linestyle="none", markersize=8, label="highest score"),
        Line2D([], [], color=DOMINATED, linewidth=1.3, label="95% interval"),
        Line2D([], [], color=DOMINATED, linewidth=0.8, alpha=0.5, label="parent"),
    ]
    axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(-0.06, -0.13),
        ncols=7,
        frameon=False,
        fontsize=9,
        labelcolor=MUTED,
        handletextpad=0.4,
        columnspacing=0.9,
    )
