"""Curves of load tests as SVG: the slowest requests' latency, and goodput, against the rate of arriving requests."""

from statistics import median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from scripts.report import load as told
from scripts.report import plots, rows, templates, text

PANEL, HEIGHT = 480, 300
LEGEND_ROW = 18
SERIES = (plots.FRONT, plots.BASELINE, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", plots.DOMINATED)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
Levels = list[dict[str, Any]]
KINDS = {"latency_ms": "latency_s", "ttft_ms": "ttft_s", "tpot_ms": "tpot_s"}
MOST = len(SERIES)
"""Techniques that are drawn, the first by capacity; more could not be told apart."""


def svg(comparison: dict[str, Any]) -> str:
    """Draw the curves; nothing where no technique was measured at two rates. The same gives the same bytes."""
    found = comparison["load"]
    by_name = rows.by_name(comparison)
    chosen = [(name, _runs(by_name[name])) for name in [*found["order"], *found["missing"]]]
    shown = [(name, runs) for name, runs in chosen if any(len(run) > 1 for run in runs)][:MOST]
    if not shown:
        return ""
    limits, settings = found["settings"]["limits"], found["settings"]
    kind = next((key for key in KINDS if limits[key] is not None), "latency_ms")
    percentile = f"p{limits['percentile']:g}"
    height = HEIGHT + LEGEND_ROW * len(shown)
    with plots.canvas(2 * PANEL, height) as figure:
        bottom, tall = (LEGEND_ROW * len(shown) + 46) / height, (HEIGHT - 84) / height
        left = figure.add_axes((52 / (2 * PANEL), bottom, (PANEL - 78) / (2 * PANEL), tall))
        right = figure.add_axes((PANEL / (2 * PANEL) + 44 / (2 * PANEL), bottom, (PANEL - 70) / (2 * PANEL), tall))
        _style(left, f"{told.percentile(settings)} {told.TITLES[kind]} in ms")
        _style(
            right, "Goodput: requests a second within the limits" if told.limits(settings) else "Requests done a second"
        )
        done = "goodput_per_s" if told.limits(settings) else "completed_per_s"
        tops, lows, most = [], [], 0.0
        for place, (name, runs) in enumerate(shown):
            look = {"color": SERIES[place], "marker": MARKERS[place], "markersize": 4, "linewidth": 1.2}
            for run in runs:
                times = [(rate, value) for rate, levels in run if (value := _time(levels, kind, percentile))]
                if times:
                    left.plot(*zip(*times, strict=True), alpha=0.85, **look)
                    tops.append(max(value for _, value in times))
                    lows.append(min(value for _, value in times))
                good = [(rate, value) for rate, levels in run if (value := _done(levels, done)) is not None]
                if good:
                    right.plot(*zip(*good, strict=True), alpha=0.85, **look)
                most = max([most, *(rate for rate, _ in run)])
            _name(figure, by_name[name]["label"], place, len(shown), height, look)
        if limits[kind] is not None:
            left.axhline(limits[kind], color=plots.INK, linewidth=1, linestyle=(0, (5, 4)), zorder=1)
            left.annotate("limit", (0, limits[kind]), xytext=(3, 3), textcoords="offset points", fontsize=8,
                          color=plots.INK, xycoords=("axes fraction", "data"))  # fmt: skip
            tops, lows = [*tops, limits[kind]], [*lows, limits[kind]]
        right.plot((0, most), (0, most), color=plots.DOMINATED, linewidth=0.9, linestyle=(0, (2, 3)), zorder=1)
        _scale(left, lows, tops, most)
        right.set_xlim(0, 1.05 * most)
        right.set_ylim(0, 1.08 * most)
        said = templates.told("load", "curve", percentile=told.percentile(settings), what=told.TITLES[kind],
                              limit=limits[kind] is not None)  # fmt: skip
        return plots.written(figure, "Latency and goodput under load", text.inert(said))


def _runs(technique: dict[str, Any]) -> list[list[tuple[float, Levels]]]:
    """Return for each run that was made its rates, the lowest first, with the levels of each."""
    found = []
    for run in technique["load"]["runs"]:
        rates: dict[float, Levels] = {}
        for level in run["levels"] if run["status"] == "ok" else []:
            if level.get("rate_per_s"):
                rates.setdefault(level["rate_per_s"], []).append(level)
        found.append(sorted(rates.items()))
    return found


def _time(levels: Levels, kind: str, percentile: str) -> float | None:
    """Return the median of the levels of a rate, in milliseconds."""
    known = [value for level in levels if (value := (level.get(KINDS[kind]) or {}).get(percentile))]
    return 1000 * median(known) if known else None


def _done(levels: Levels, key: str) -> float | None:
    known = [level[key] for level in levels if level.get(key) is not None]
    return median(known) if known else None


def _style(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, color=plots.MUTED, pad=8)
    plots.style(axes)
    axes.set_xlabel("Arriving requests a second")


def _scale(axes: Axes, lows: list[float], tops: list[float], most: float) -> None:
    axes.set_yscale("log")
    if tops:  # where no request was answered there are no times
        axes.set_ylim(min(lows) / 1.4, max(tops) * 1.4)
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    axes.set_xlim(0, 1.05 * most)


def _name(figure: Any, label: str, place: int, count: int, height: float, look: dict[str, Any]) -> None:
    """Write a technique's name below the panels, beside its line and marker."""
    y = (LEGEND_ROW * (count - place) - 10) / height
    axes = figure.add_axes((52 / (2 * PANEL), y - 4 / height, 24 / (2 * PANEL), 8 / height))
    axes.axis("off")
    axes.plot((0, 0.5, 1), (0, 0, 0), **look, markevery=[1])
    figure.text(82 / (2 * PANEL), y, text.inert(text.shortened(label, 90)), va="center", fontsize=10, parse_math=False)
