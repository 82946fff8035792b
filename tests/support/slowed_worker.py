"""A worker whose every token takes a given share longer, for a planted slowdown.

python -m tests.support.slowed_worker 0.05 <the arguments of scripts.inference.worker>
"""

import sys
import time

from scripts.foundation import entry
from scripts.inference import timed_loop, worker


def slow_down(share: float) -> None:
    """Let each step last longer by this share of what it took, busy and not asleep, as slower code would."""
    put = timed_loop.TokenClock.put

    def slowed(self: timed_loop.TokenClock, value: object) -> None:
        now = time.perf_counter()
        began = getattr(self, "began", now)
        until = now + share * (now - began)
        while time.perf_counter() < until:
            pass
        put(self, value)
        self.began = time.perf_counter()

    timed_loop.TokenClock.put = slowed


if __name__ == "__main__":
    slow_down(float(sys.argv.pop(1)))
    entry.run(worker.main)
