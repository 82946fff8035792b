"""What load is put on a server, and which limits count: the key ``load`` of a study."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from scripts.foundation.errors import StudyError
from scripts.foundation.wording import shown, suggestion

POISSON, CONSTANT, CLOSED = "poisson", "constant", "closed"
SEARCH = "search"
#: Limits, and the time of a request that each holds for.
LIMITS = {"ttft_ms": "ttft_s", "tpot_ms": "tpot_s", "latency_ms": "latency_s"}
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Limits:
    """The service-level objective: the percentile of each time must be at or below its limit.

    Attributes:
        ttft_ms: time to first token, from when the request was due.
        tpot_ms: time per output token after the first.
        latency_ms: from when the request was due to its last token.
        percentile: of the requests, 0 to 100; failed requests break every limit.
    """

    ttft_ms: float | None = None
    tpot_ms: float | None = None
    latency_ms: float | None = None
    percentile: float = 99.0

    def set(self) -> dict[str, float]:
        """Return the limits that are set, in milliseconds."""
        return {name: getattr(self, name) for name in LIMITS if getattr(self, name) is not None}

    @property
    def share(self) -> float:
        """The percentile as a share."""
        return self.percentile / 100

    @property
    def needed(self) -> int:
        """The fewest requests whose slowest bounds the percentile from above with 95% confidence.

        The slowest of n independent requests lies above percentile q with a confidence of 1 - q^n (David and Nagaraja,
        Order Statistics, section 7.1): 299 for P99, 59 for P95, 29 for P90.
        """
        return max(1, math.ceil(math.log(1 - CONFIDENCE) / math.log(self.share)))


@dataclass(frozen=True)
class LoadSettings:
    """Settings of one load run.

    Attributes:
        arrivals: ``poisson`` or ``constant`` gaps between the requests of an open loop, or ``closed`` for none.
        rates: requests per second of each open-loop level, or ``search`` for the highest that keeps the limits.
        concurrency: requests at the same time of each closed-loop level.
        requests: measured requests of a level; None where ``duration_s`` is given.
        duration_s: length of a level's measured window instead.
        limits: that requests are held against.
        seed: of the arrivals and of varied prompts.
        resolution: how far apart, as a share, the highest rate that keeps and the lowest that breaks may be.
        max_levels: of a search.
        time_limit_s: of the whole load run; a level that would not fit is not begun.
        request_limit_s: after which a request has failed.
        processes: that send; None: as many as the rate needs, at most half of the cores.
        min_window_s: the shortest measured window of a level of a search.
    """

    arrivals: str = POISSON
    rates: str | tuple[float, ...] = SEARCH
    concurrency: tuple[int, ...] = ()
    requests: int | None = 400
    duration_s: float | None = None
    limits: Limits = field(default_factory=Limits)
    seed: int = 0
    resolution: float = 0.05
    max_levels: int = 16
    time_limit_s: float = 900.0
    request_limit_s: float = 60.0
    processes: int | None = None
    min_window_s: float = 3.0

    @property
    def searches(self) -> bool:
        """Whether the highest rate is searched for."""
        return self.arrivals != CLOSED and self.rates == SEARCH

    def open_rates(self) -> tuple[float, ...]:
        """Return the rates of the open-loop levels that are asked for."""
        return () if self.arrivals == CLOSED or self.rates == SEARCH else tuple(self.rates)


def read(settings: Mapping[str, Any]) -> LoadSettings:
    """Check the mapping under ``load``.

    Raises:
        StudyError: a key is unknown, a value is wrong, or a search has no limit.
    """
    known = {entry.name for entry in fields(LoadSettings)}
    given = {key: value for key, value in settings.items() if key != "techniques"}
    for key in given:
        if key not in known:
            raise StudyError(f"load.{shown(key)} is unknown{suggestion(str(key), known)}.")
    given["limits"] = _limits(given.get("limits") or {})
    if given.get("duration_s") is not None:
        given["requests"] = None
        _positive(given, "duration_s")
    elif type(given.setdefault("requests", 400)) is not int or given["requests"] < 1:
        raise StudyError(f"load.requests is {shown(given['requests'])}; give a number of requests, 1 or more.")
    if given.setdefault("arrivals", POISSON) not in (POISSON, CONSTANT, CLOSED):
        raise StudyError(f"load.arrivals is {shown(given['arrivals'])}; give {POISSON}, {CONSTANT} or {CLOSED}.")
    given["rates"] = _rates(given.get("rates", SEARCH))
    given["concurrency"] = _concurrency(given.get("concurrency") or ())
    for key in ("resolution", "time_limit_s", "request_limit_s", "min_window_s"):
        _positive(given, key)
    for key in ("max_levels", "processes"):
        value = given.get(key)
        if value is not None and (type(value) is not int or value < 1):
            raise StudyError(f"load.{key} is {shown(value)}; give a whole number, 1 or more.")
    if type(given.get("seed", 0)) is not int:
        raise StudyError(f"load.seed is {shown(given['seed'])}; give a whole number.")
    read_settings = LoadSettings(**given)
    if read_settings.searches and not read_settings.limits.set():
        raise StudyError("load.rates is search, and no limit is set; set one of load.limits, or give a list of rates.")
    if read_settings.arrivals == CLOSED and not read_settings.concurrency:
        raise StudyError("load.arrivals is closed, and load.concurrency is empty; list how many requests at a time.")
    return read_settings


def _limits(given: Any) -> Limits:
    names = {entry.name for entry in fields(Limits)}
    if not isinstance(given, Mapping):
        raise StudyError(f"load.limits is {shown(given)}; give a mapping with {', '.join(LIMITS)} and percentile.")
    for key, value in given.items():
        if key not in names:
            raise StudyError(f"load.limits.{shown(key)} is unknown{suggestion(str(key), names)}.")
        if value is None and key != "percentile":
            continue
        if not _is_number(value) or value <= 0 or (key == "percentile" and value >= 100):
            wanted = "a percentile above 0 and below 100" if key == "percentile" else "milliseconds above 0, or null"
            raise StudyError(f"load.limits.{key} is {shown(value)}; give {wanted}.")
    return Limits(**given)


def _rates(given: Any) -> str | tuple[float, ...]:
    if given == SEARCH:
        return SEARCH
    right = isinstance(given, list | tuple) and all(_is_number(rate) and rate > 0 for rate in given)
    if not right:
        raise StudyError(f"load.rates is {shown(given)}; give {SEARCH}, or a list of requests per second above 0.")
    return tuple(sorted({float(rate) for rate in given}))


def _concurrency(given: Any) -> tuple[int, ...]:
    right = isinstance(given, list | tuple) and all(type(count) is int and count > 0 for count in given)
    if not right:
        raise StudyError(f"load.concurrency is {shown(given)}; give a list of whole numbers, 1 or more.")
    return tuple(sorted(set(given)))


def _positive(given: dict[str, Any], key: str) -> None:
    if key in given and (not _is_number(given[key]) or given[key] <= 0):
        raise StudyError(f"load.{key} is {shown(given[key])}; give a number above 0.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
