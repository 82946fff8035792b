"""What load tests found, in words: limits, arrivals, capacity."""

from typing import Any

from scripts.comparison import sufficiency
from scripts.comparison.load import NO_DIFFERENCE
from scripts.metrics.families.load import CAPACITY
from scripts.report import numbers, rows, templates, words
from scripts.report.templates import say
from scripts.traffic.settings import Limits
from scripts.traffic.summary import TOO_FEW

TITLES = {"ttft_ms": "TTFT", "tpot_ms": "TPOT", "latency_ms": "latency"}
WIDE = 10
"""An interval whose ends differ by this factor says nothing; then the runs stand in its place."""


def percentile(settings: dict[str, Any]) -> str:
    """Return the name of the percentile that must keep the limits, e.g. ``P99``."""
    return f"P{settings['limits']['percentile']:g}"


def limits(settings: dict[str, Any]) -> str:
    """Return the limits in words, e.g. ``P99 latency within 300 ms``; empty where there are none."""
    known = [(title, settings["limits"][key]) for key, title in TITLES.items() if settings["limits"][key] is not None]
    return words.listed([f"{percentile(settings)} {title} within {value:g} ms" for title, value in known])


def rate(value: float) -> str:
    """Return a rate with three digits, or all digits of its whole part."""
    return numbers.fixed(value, max(0, min(2, numbers.digits_after_point(value, 3))) if value > 0 else 0)


def answer(comparison: dict[str, Any]) -> str:
    """Return the sentence on capacity for the first lines of the report; empty where none was measured."""
    load = comparison.get("load")
    if not load:
        return ""
    by_name = rows.by_name(comparison)
    if not load["order"]:
        return _none(load, by_name)
    first = by_name[load["order"][0]]
    ahead = [each for each in load["ratios"] if each["verdict"] != NO_DIFFERENCE]
    tied = [each for each in load["ratios"] if each not in ahead]
    return say(
        "report/words/load.yaml, answer",
        templates.general("load")["answer"],
        {
            "label": first["label"],
            "rate": rate(first["figures"][CAPACITY]["value"]),
            "at_least": open_ended(first["figures"][CAPACITY]),
            "interval": interval(first["figures"][CAPACITY]),
            "spread": _spread(first["figures"][CAPACITY]),
            "runs": first["figures"][CAPACITY]["n"],
            "limits": limits(load["settings"]),
            "second": {"label": by_name[ahead[0]["to"]]["label"], "times": words.times(ahead[0]["value"])}
            if ahead
            else None,
            "needed": _needed(first, load["settings"]),
            "percentile": percentile(load["settings"]),
            "tied": [by_name[each["to"]]["label"] for each in tied],
            "flags": _flags(first),
        },
    )


def _flags(technique: dict[str, Any]) -> list[str]:
    """Return in a few words each what casts doubt on a technique's times."""
    shown = zip(technique["flags"] or [], rows.flags(technique), strict=True)
    return list(dict.fromkeys(told["text"] for flag, told in shown if flag["kind"] not in sufficiency.MINOR))


def _none(load: dict[str, Any], by_name: dict[str, Any]) -> str:
    """Return the sentence for techniques of which none kept the limits; empty where none was looked for."""
    tried = [by_name[name] for name in load["missing"] if by_name[name]["load"]["status"] == "ok"]
    if not tried or not limits(load["settings"]) or load["settings"]["arrivals"] == "closed":
        return ""
    return say(
        "report/words/load.yaml, none",
        templates.general("load")["none"],
        {
            "labels": [each["label"] for each in tried],
            "limits": limits(load["settings"]),
            "alone": [alone for each in tried if (alone := _alone(each))],
        },
    )


def _alone(technique: dict[str, Any]) -> str:
    """Return what a lone request of a technique takes, where that breaks a limit by itself; else nothing."""
    found = [run["capacity"] for run in technique["load"]["runs"] if (run.get("capacity") or {}).get("alone_ms")]
    if not found:
        return ""
    time = f"{TITLES[found[0]['bound']]} {numbers.fixed(found[0]['alone_ms'], 0)} ms"
    return f"{time} ({technique['label']})"


def _needed(technique: dict[str, Any], settings: dict[str, Any]) -> int | None:
    """Return how many requests the percentile needs, where a rate that bounds the capacity had fewer; else None."""
    for run in technique["load"]["runs"]:
        ends = {(run.get("capacity") or {}).get(end) for end in ("keeps_at", "breaks_at")}
        bounding = [level for level in run.get("levels") or [] if level.get("rate_per_s") in ends - {None}]
        if any(TOO_FEW in (level.get("flags") or []) for level in bounding):
            return Limits(percentile=settings["limits"]["percentile"]).needed
    return None


def interval(figure: dict[str, Any]) -> str:
    """Return a capacity's interval as text; empty where it has none, or one so wide that it says nothing."""
    low, high = figure.get("low"), figure.get("high")
    if low is None:
        return ""
    if high is None:
        return f"from {rate(low)} on" if figure["value"] < WIDE * low else ""
    return "" if high > WIDE * low else f"{rate(low)} to {rate(high)}"


def open_ended(figure: dict[str, Any]) -> bool:
    """Whether a run broke no limit at its highest rate, so that more may be served."""
    return any(breaks is None for _, breaks in figure.get("bracket") or [])


def _spread(figure: dict[str, Any]) -> str:
    """Return the least and the most of several runs."""
    runs = figure.get("runs") or []
    return f"{rate(min(runs))} to {rate(max(runs))}" if len(runs) > 1 else ""
