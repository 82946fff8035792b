"""Whether the requests that wait at a server grow without bound."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence

#: Fewest arrivals after the ramp-up, and fewest times the latency of the ramp-up that they must span.
ARRIVALS = 100
LATENCIES = 2.0
QUARTERS = 4
#: Growth of a quarter in standard deviations of the number of its arrivals, which are Poisson at the most.
DEVIATIONS = 2.0
#: Of the requests that are due in a window, so many may wait at its end beyond those that waited at its begin.
BEHIND_SHARE = 0.05
BEHIND_DEVIATIONS = 3.0


def falls_behind(due: Sequence[float], ended: Sequence[float], begin: float, end: float) -> bool:
    """Return whether fewer requests were answered in a window than were due in it, so that it is no steady state.

    A level of some seconds can keep a limit at a rate above what is served, while its queue fills up to that limit. It
    falls behind where more than 5% of the requests that were due in the window wait at its end in addition to those
    that waited at its begin, and more than three times the root of twice the mean of both, which is how that number
    varies where requests don't wait for each other (Poisson). A queue so near to its most that it wanders as far by
    chance is taken for one that grows, which puts a capacity lower, never higher.

    Args:
        due: when requests were due, ascending.
        ended: when requests were answered or failed, ascending.
        begin: begin of the window.
        end: end of the window.
    """
    arrived = bisect_right(due, end) - bisect_right(due, begin)
    before, after = (bisect_right(due, edge) - bisect_right(ended, edge) for edge in (begin, end))
    return after - before > max(BEHIND_SHARE * arrived, BEHIND_DEVIATIONS * math.sqrt(before + after))


def grows(due: Sequence[float], ended: Sequence[float], begin: float, now: float, latency: float) -> bool:
    """Return whether the number of unanswered requests grows without bound.

    The time since the ramp-up is cut into four quarters. A queue is called unbounded where the number of requests that
    are due and not answered grew in each of the last three by more than two standard deviations of the number of
    arrivals in it (its root), and in the last by at least half as much as in the second: a queue that fills up to a
    new length grows ever less, one that receives more than is served grows by the same amount in each. It is asked
    again and again while a level lasts. Of 100 simulated queues of one place with 100 services a second over 40 s, none
    was called unbounded at 90% of what is served, one at 95% where service times are exponential, 89 at 110%, and all
    at 120%.
    It is not asked before 100 arrivals, nor before twice the median latency of the ramp-up has passed.

    Args:
        due: when requests were due, ascending.
        ended: when requests were answered or failed, ascending.
        begin: end of the ramp-up.
        now: until when both are known.
        latency: median of the ramp-up's.
    """
    arrived = bisect_right(due, now) - bisect_right(due, begin)
    if arrived < ARRIVALS or now - begin < LATENCIES * latency:
        return False
    edges = [begin + (now - begin) * quarter / QUARTERS for quarter in range(QUARTERS + 1)]
    waiting = [bisect_right(due, edge) - bisect_right(ended, edge) for edge in edges]
    growth = [after - before for before, after in itertools.pairwise(waiting)][1:]
    each = math.sqrt(arrived / QUARTERS)
    return all(one > DEVIATIONS * each for one in growth) and growth[-1] >= growth[0] / 2
