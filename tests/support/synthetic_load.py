"""Load runs of synthetic studies: levels along the curve of a single queue, and the capacity that follows from it."""

import math
from typing import Any

SETTINGS = {
    "arrivals": "poisson", "rates": "search", "concurrency": [], "requests": 400, "duration_s": None,
    "limits": {"ttft_ms": None, "tpot_ms": None, "latency_ms": 300, "percentile": 99}, "time_limit_s": 600, "seed": 0,
}  # fmt: skip
SHARES = (0.25, 0.5, 0.7, 0.8, 0.9, 1.05)


def make_load(
    technique: str,
    run: int,
    most: float,
    service_s: float = 0.02,
    settings: dict[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Return the content of a load.json.

    Args:
        technique: its name.
        run: its number; runs differ by a few percent.
        most: requests a second at which its queue grows without bound.
        service_s: latency of a request without others.
        settings: replace those of load.
        changes: replace keys of the file.
    """
    settings = SETTINGS | (settings or {})
    most *= 1 + 0.02 * math.sin(7 * run + len(technique))
    levels = [_level(most * share, most, service_s, settings) for share in SHARES]
    limit = (settings["limits"]["latency_ms"] or 0) / 1000
    keeps = [level["rate_per_s"] for level in levels if level["keeps_limits"]]
    breaks = [level["rate_per_s"] for level in levels if not level["keeps_limits"]]
    # P99 of an M/M/1 queue is 4.6 times its mean.
    exact = most * (1 - 4.6 * service_s / limit) if limit > 4.6 * service_s else None
    capacity = {
        "per_s": exact, "keeps_at": max(keeps, default=None), "breaks_at": min(breaks, default=None),
        "bound": "latency_ms", "note": None if exact else "even the lowest rate that was tried broke a limit",
    }  # fmt: skip
    return {
        "technique": technique, "run": run, "status": "ok", "reason": None, "settings": {}, "load": settings,
        "server": {"preset": "udaciheadline", "version": "0.1.0", "command": ["python"], "proved": {}, "unproved": []},
        "levels": levels, "capacity": capacity if settings["rates"] == "search" else None,
        "memory": None,
        "generator": {"processes": 1, "cpu_s": 1.0}, "machine": None,
        "started_at": "2025-01-02T04:00:00.000+00:00", "finished_at": "2025-01-02T04:02:00.000+00:00",
    } | changes  # fmt: skip


def _level(rate: float, most: float, service_s: float, settings: dict[str, Any]) -> dict[str, Any]:
    busy = min(rate / most, 0.995)
    mean = service_s / (1 - busy)
    p99 = 4.6 * mean
    limit = (settings["limits"]["latency_ms"] or math.inf) / 1000
    within = 1 - math.exp(-limit / mean)
    saturated = rate >= most
    done = min(rate, most)
    return {
        "arrivals": settings["arrivals"], "rate_per_s": rate, "concurrency": None, "seed": 0,
        "requests": 400, "completed": 400, "failed": 0, "measured": 340, "window_s": [1.0, 1.0 + 340 / rate],
        "completed_per_s": done, "new_tokens_per_s": 14 * done,
        "latency_s": {"mean": mean, "p50": 0.69 * mean, "p90": 2.3 * mean, "p99": p99},
        "ttft_s": {"mean": mean / 3, "p50": 0.23 * mean, "p90": 0.77 * mean, "p99": p99 / 3},
        "tpot_s": {"mean": mean / 20, "p50": mean / 20, "p90": mean / 15, "p99": mean / 10},
        "send_lag_s": {"p50": 0.0001, "p99": 0.0006, "max": 0.002},
        "within_limits_share": within, "goodput_per_s": done * within, "keeps_limits": p99 <= limit and not saturated,
        "saturated": saturated, "ended_early": "the queue grew without bound" if saturated else None,
        "errors": {}, "flags": [],
    }  # fmt: skip
