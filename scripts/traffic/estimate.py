"""Where a search begins: what closed loops complete, and what a queue that serves so many a second would keep."""

from __future__ import annotations

import heapq
import itertools
import math
import statistics
from collections.abc import Sequence
from typing import Any

from scripts.traffic import arrivals
from scripts.traffic.records import Record
from scripts.traffic.settings import LIMITS, Limits, LoadSettings
from scripts.traffic.summary import nearest_rank

#: Closed loops of so many requests at a time, until what they complete grows no more.
CONCURRENCIES = (4, 16, 64, 256)
#: Each has four times the places of the one before; it is held where it is likely to complete more by this factor.
GROWTH = 1.25
TURNS, LEAST_REQUESTS = 2, 16
NAMES = {"ttft_ms": "time to first token", "tpot_ms": "time per output token", "latency_ms": "latency"}
#: Arrivals of the queue that is computed, and the shares of its most that are tried as its load.
ARRIVALS = 3000
LOADS = tuple(share / 100 for share in range(95, 15, -5))


def requests(concurrency: int) -> int:
    """Return how many requests a closed loop measures, whose places take turns together at first."""
    return max(LEAST_REQUESTS, TURNS * concurrency)


def is_enough(levels: Sequence[dict[str, Any]], alone_s: float, limits: Limits) -> bool:
    """Return whether the last closed loop need not be followed by a larger one.

    It need not where four times as many places would complete little more, nor where half of its requests broke a
    limit: an open loop of that rate keeps as many under way, and breaks it too. What more places would complete is
    foretold by a step that takes a fixed time and one for each request in it: one over the rate is then linear in one
    over the places.

    Args:
        levels: the closed loops so far, as summarised.
        alone_s: the median latency of lone requests.
        limits: of the search.
    """
    before = levels[-2]["completed_per_s"] if len(levels) > 1 else 1 / alone_s
    last = levels[-1]["completed_per_s"]
    if not before or not last or over(levels[-1], limits):
        return True
    each, fixed = (4 / last - 1 / before) / 3, 4 / 3 * (1 / before - 1 / last)
    return 1 / max(each + fixed / 16, 1e-9) < GROWTH * last


def over(level: dict[str, Any], limits: Limits) -> list[str]:
    """Return the limits that the median of a level's requests breaks."""
    return [name for name, limit in limits.set().items() if (level[LIMITS[name]] or {"p50": 0})["p50"] * 1000 > limit]


def alone_over(records: Sequence[Record], limits: Limits) -> list[str]:
    """Return the limits that the median of lone requests breaks."""
    broken = []
    for name, limit in limits.set().items():
        known = [value for record in records if (value := getattr(record, LIMITS[name])) is not None]
        if known and statistics.median(known) * 1000 > limit:
            broken.append(name)
    return broken


def told(level: dict[str, Any], broken: str, limits: Limits) -> dict[str, Any]:
    """Return what ``capacity`` says where lone requests break a limit.

    Args:
        level: of requests sent one at a time, as summarised.
        broken: the limit.
        limits: of the search.

    Returns:
        ``bound``, ``alone_ms`` (the median of the time that is limited) and ``note``.
    """
    median = level[LIMITS[broken]]["p50"] * 1000
    note = f"no rate keeps the limits: a lone request's {NAMES[broken]} is {median:.4g} ms, above the limit of "
    return {"bound": broken, "alone_ms": median, "note": f"{note}{getattr(limits, broken):g} ms."}


def most(levels: Sequence[dict[str, Any]], alone_s: float) -> float:
    """Return the most requests a second that a closed loop completed."""
    return max([1 / alone_s, *(level["completed_per_s"] or 0.0 for level in levels)])


def first(levels: Sequence[dict[str, Any]], alone: Sequence[Record], asked: LoadSettings) -> float:
    """Return the rate to begin with: what a queue would keep that serves as fast as the closed loops did (M/D/c).

    It has as many places as requests of a lone one's latency are under way at that rate, its arrivals are those of the
    search's levels, and a request may wait for what the limit leaves beside that latency. It is a guess to begin with
    and decides nothing.
    """
    alone_s = statistics.median(record.latency_s for record in alone)
    fitting = [level for level in levels if not over(level, asked.limits)]
    rate = math.sqrt(most(fitting, alone_s) * most(levels, alone_s))
    slack = [
        limit / 1000 - statistics.median(getattr(record, LIMITS[name]) for record in alone)
        for name, limit in asked.limits.set().items()
        if name != "tpot_ms"
    ]
    allowed = min(slack, default=math.inf)
    due = list(itertools.islice(arrivals.moments(asked.arrivals, 1.0, asked.seed), ARRIVALS))
    places, share = max(1, round(rate * alone_s)), asked.limits.share
    kept = (load for load in LOADS if _waits(due, load, places, share) <= allowed * rate)
    return rate * next(kept, LOADS[-1])


def _waits(due: Sequence[float], load: float, places: int, share: float) -> float:
    """Return the percentile of the waiting times at a load, in mean times between two requests that leave."""
    free, waited = [0.0] * places, []
    for moment in due:
        arrived = moment / load
        begin = max(arrived, free[0])
        heapq.heapreplace(free, begin + places)
        waited.append(begin - arrived)
    return nearest_rank(sorted(waited), share)
