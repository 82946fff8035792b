"""Techniques as servers under load: how many requests a second, and how long the slowest wait."""

from typing import Any

from markupsafe import Markup

from scripts.comparison.load import NO_DIFFERENCE
from scripts.metrics.families.load import CAPACITY, GOODPUT, MEMORY
from scripts.report import drawing, load_curves, numbers, rows, templates, words
from scripts.report import load as told
from scripts.report.section import Section


def load(comparison: dict[str, Any]) -> dict[str, Any] | None:
    """Return what load tests found; None where none was made.

    Returns:
        ``lead``: a sentence; ``rows``: per technique its capacity as a bar with an interval, goodput, memory, ratio and
        cost; ``missing``: the others with the reason; ``curves``: the drawing; ``traffic``: what the form for a
        reader's own traffic needs.
    """
    found = comparison.get("load")
    if not found:
        return None
    by_name, settings = rows.by_name(comparison), found["settings"]
    drawn = load_curves.svg(comparison)
    return {
        "lead": templates.told("load", "lead", settings=settings, limits=told.limits(settings)),
        "percentile": told.percentile(settings),
        "rows": _rows(found, by_name),
        "missing": [{"label": by_name[name]["label"], "reason": reason} for name, reason in found["missing"].items()],
        "curves": Markup(drawing.inert_svg(drawn, "load-")) if drawn else "",  # noqa: S704
        "traffic": _traffic(found, by_name),
    }


def _rows(found: dict[str, Any], by_name: dict[str, Any]) -> list[dict[str, Any]]:
    figures = {name: by_name[name]["figures"][CAPACITY] for name in found["order"]}
    ends = {name: _ends(figure) for name, figure in figures.items()}
    top = max((high for _, high in ends.values()), default=1.0)
    ratios = {each["to"]: each for each in found["ratios"]}
    return [
        {
            "name": name,
            "label": by_name[name]["label"],
            "rate": f"{'≥ ' if told.open_ended(figure) else ''}{told.rate(figure['value'])}",
            "interval": told.interval(figure),
            "value": _share(figure["value"], top),
            "low": _share(ends[name][0], top),
            "span": _share(ends[name][1] - ends[name][0], top),
            "note": figure["note"] or "",
            "ratio": _ratio(ratios.get(name), alone=len(figures) == 1),
            "memory": _memory(by_name[name]["figures"].get(MEMORY)),
            "goodput": _rate(by_name[name]["figures"][GOODPUT]["value"]),
            "cost": _cost(found["costs"][name]["cost_per_million"]),
        }
        for name, figure in figures.items()
    ]


def _ends(figure: dict[str, Any]) -> tuple[float, float]:
    """Return the interval as it is drawn: the value itself where it has none, or one that says nothing."""
    if not told.interval(figure):
        return figure["value"], figure["value"]
    return figure["low"], figure["value"] if figure["high"] is None else figure["high"]


def _ratio(ratio: dict[str, Any] | None, alone: bool) -> dict[str, str]:
    if alone:
        return {"text": "not compared", "note": ""}
    if ratio is None:
        return {"text": "the most", "note": ""}
    value = words.times(1 / ratio["value"])
    if ratio["verdict"] == NO_DIFFERENCE:
        return {"text": ratio["verdict"], "note": value}
    if ratio["verdict"] is None:
        return {"text": value, "note": "not tested: runs are too few, or all alike"}
    ends = (1 / ratio["high"], 1 / ratio["low"])
    return {"text": value, "note": f"95% interval {words.times(ends[0])} to {words.times(ends[1])}"}


def _cost(figure: dict[str, Any]) -> str:
    return "" if figure["value"] is None else f"{numbers.fixed(figure['value'], 2)} {figure['unit']}"


def _memory(figure: dict[str, Any] | None) -> str:
    value = (figure or {}).get("value")
    return numbers.NOTHING if value is None else words.amount(value, numbers.BYTES)


def _rate(value: float | None) -> str:
    return numbers.NOTHING if value is None else told.rate(value)


def _traffic(found: dict[str, Any], by_name: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the form for a reader's own traffic begins with; None where no rate was measured."""
    limits = found["settings"]["limits"]
    ran = any(by_name[name]["load"]["status"] == "ok" for name in [*found["order"], *found["missing"]])
    if not ran or found["settings"]["arrivals"] == "closed":
        return None
    kind = next((key for key in ("latency_ms", "ttft_ms") if limits[key] is not None), "latency_ms")
    return {"kind": kind, "limit": limits[kind]}


def _share(value: float, top: float) -> float:
    return round(100 * value / top, 2)


SECTION = Section("load", "Under load", 13, load, within="decision", folded=False)
