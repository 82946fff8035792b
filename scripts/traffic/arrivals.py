"""When requests are due."""

from __future__ import annotations

import random
from collections.abc import Iterator

from scripts.traffic.settings import CONSTANT, POISSON


def moments(kind: str, rate: float, seed: int) -> Iterator[float]:
    """Yield without end when each request of an open loop is due, in seconds from the begin of the level.

    Poisson arrivals have independent exponential gaps of mean 1 / rate. They are those of rate 1 divided by the rate:
    with one seed every rate and every server meets the same pattern, so that they differ by what they are and not
    by their luck. Other seeds are independent of it.

    Args:
        kind: ``poisson`` or ``constant``.
        rate: requests per second, above 0.
        seed: of the gaps; without effect on constant ones.
    """
    if kind == CONSTANT:
        number = 0
        while True:
            yield number / rate
            number += 1
    if kind != POISSON:
        raise ValueError(f"no open-loop arrivals: {kind}")
    draw = random.Random(f"arrivals/{seed}")
    moment = 0.0
    while True:
        moment += draw.expovariate(1.0)
        yield moment / rate
