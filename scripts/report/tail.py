"""What the end of the latencies is called: P99 where there are prompts enough for one, else the slowest request."""

from collections.abc import Mapping, Sequence
from typing import Any

from scripts.metrics.percentiles import SLOWEST
from scripts.report import numbers, rows, words

KEY = "latency_p99_s"
P99 = "P99 latency"


def name(techniques: Sequence[Mapping[str, Any]]) -> str:
    """Return what the figure is called in a sentence: ``P99 latency``, or e.g. ``slowest of 300 requests``."""
    known = [figure for technique in rows.ran(list(techniques)) if (figure := rows.figure(technique, KEY))["value"]]
    counts = {figure["requests"] for figure in known if is_slowest(figure)}
    if not counts:
        return P99
    if len(counts) > 1 or not all(is_slowest(figure) for figure in known):
        return "slowest request"
    return f"slowest of {counts.pop():,} requests"


def title(techniques: Sequence[Mapping[str, Any]]) -> str:
    """Return the same as it stands at the head of a column."""
    found = name(techniques)
    return found[:1].upper() + found[1:]


def is_slowest(figure: Mapping[str, Any]) -> bool:
    """Whether a figure is the slowest request and no percentile."""
    return figure.get("statistic") == SLOWEST


def runs_away(figure: Mapping[str, Any]) -> bool:
    """Whether the slowest request is one that only the length limit ended, while others ended by themselves."""
    return bool((figure.get("slowest") or {}).get("runaway")) and figure.get("slowest_ended_s") is not None


def runaway(figure: Mapping[str, Any]) -> str:
    """Return which request is the slowest if it ran away, e.g. ``prompt 17, a runaway of 40 tokens``; else nothing."""
    if not runs_away(figure):
        return ""
    slowest = figure["slowest"]
    return f"prompt {slowest['prompt'] + 1}, a runaway of {slowest['new_tokens']} tokens"


def told(figure: Mapping[str, Any]) -> str:
    """Return the runaway in words, with the slowest request that ended by itself; nothing where none ran away."""
    if not runs_away(figure):
        return ""
    ended = words.amount(figure["slowest_ended_s"], numbers.TIME)
    return f"the slowest is {runaway(figure)}; the slowest that ended by itself took {ended}"


def lines(techniques: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line that names the runaways among the slowest requests, each with the techniques that wrote it."""
    ran = rows.ran(list(techniques))
    found: dict[str, list[str]] = {}
    for technique in ran:
        if text := runaway(rows.figure(technique, KEY)):
            found.setdefault(text, []).append(technique["label"])
    told = [
        f"{text} ({'all techniques' if len(names) == len(ran) else ', '.join(names)})" for text, names in found.items()
    ]
    return [f"The slowest request ran into the length limit: {'; '.join(told)}."] if told else []
