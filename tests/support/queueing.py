"""Waiting in a queue with Poisson arrivals, one place and a fixed service time (M/D/1)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction


def mean_wait(load: float, service: float) -> float:
    """Return the mean waiting time (Pollaczek and Khinchine): load x service / (2 (1 - load))."""
    return load * service / (2 * (1 - load))


def wait_share(load: float, waited: float) -> float:
    """Return the share of requests that wait at most so many service times (Erlang, 1909).

    P(W <= t) = (1 - load) sum over k = 0 .. floor(t) of (load (k - t))^k / k! exp(-load (k - t)). Its terms alternate
    and are large, so the powers are taken exactly.
    """
    exact, at = Fraction(load), Fraction(waited)
    total = math.fsum(
        float((exact * (k - at)) ** k / math.factorial(k) * Fraction(math.exp(-load * (k - math.floor(waited)))))
        for k in range(math.floor(waited) + 1)
    )
    return (1 - load) * total * math.exp(load * (waited - math.floor(waited)))


def wait_quantile(load: float, service: float, share: float) -> float:
    """Return the waiting time that a share of requests does not exceed, by bisection."""
    low, high = 0.0, 1.0
    while wait_share(load, high) < share:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if wait_share(load, middle) >= share else (middle, high)
    return high * service


def waits(arrivals: Iterable[float], service: float) -> list[float]:
    """Return how long each request waits that arrives at these ascending moments (Lindley, 1952)."""
    free, waited = 0.0, []
    for moment in arrivals:
        begin = max(moment, free)
        waited.append(begin - moment)
        free = begin + service
    return waited
