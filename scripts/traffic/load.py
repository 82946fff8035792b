"""One load run: the levels that are asked for, the search for the capacity, and what came of them."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scripts.foundation.errors import StudyError
from scripts.serving.client import Api, Ask
from scripts.traffic import estimate
from scripts.traffic import prompts as prompt_source
from scripts.traffic import search as searching
from scripts.traffic.generator import Generator, generating
from scripts.traffic.level import Held, Level, Plan
from scripts.traffic.messages import Setup
from scripts.traffic.prompts import GIVEN, VARIED, Prompts
from scripts.traffic.records import WARM_UP, Record
from scripts.traffic.settings import CLOSED, LoadSettings, read
from scripts.traffic.summary import LATE_SENDS, NOT_SETTLED, summary

#: Lone requests before the first level: what a server compiles or records for its first ones is not measured.
WARM_UP_REQUESTS = 5
#: Requests sent one at a time that decide whether any rate can keep the limits, where those of the warm-up broke one.
ALONE_REQUESTS = 20
#: A level that received more than is served tells how much that is by at least so many answers.
ANSWERS = 100
#: After a level that was ended early the server has settled when a lone request takes less than this many times what
#: the slowest of the warm-up took.
SETTLED = 2.0
SETTLE_LIMIT_S = 60.0
#: A level that breaks the limits is held so often at most until its requests were sent in time.
LATE_TIMES = 3
SEED_STEP = 1_000_003
TICK_S = 0.05

ASKED, ESTIMATE, SEARCHED, AGAIN, ALONE = "asked", "estimate", "search", "again", "alone"


def run_load(
    api: Api,
    asks: Sequence[Ask],
    settings: Mapping[str, Any],
    *,
    write: Callable[[list[dict[str, Any]]], None] | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
    observe: Callable[[], Any] | None = None,
    repeat_prompts: bool = False,
) -> dict[str, Any]:
    """Put load on a server and measure it.

    First come lone requests to warm it up, then the closed-loop levels, then the open loop's rates or the search. Only
    one level is there at a time: it is over when its last request is answered, and where it was ended early when a lone
    request is answered as fast again as in the warm-up.

    Args:
        api: how the server is asked.
        asks: the study's requests; what they are varied to is in ``traffic/prompts.py``.
        settings: the mapping ``load`` of a study; see LoadSettings. Give every run a seed of its own.
        write: called after the warm-up and after each level with its records; see Record.
        progress: called at least every second while a level is on, with ``level``, ``of`` (requests that are known to
            be needed), ``sent``, ``answered`` and ``phase``.
        observe: called before and after each level, when nothing is sent; the two results are the level's
            ``observed``.
        repeat_prompts: send the prompts given in turn, again and again, where a prefix cache is studied.

    Returns:
        ``levels`` (see :func:`scripts.traffic.summary.summary`), ``capacity`` (see
        :func:`scripts.traffic.search.capacity`; None without limits or open-loop levels), ``generator``, ``prompts``,
        and ``stopped``: None, or why the run ended before it was complete.

    Raises:
        StudyError: settings are wrong, the API can't express the requests, or none of the first ones is answered.
        Exception: what ``write``, ``progress`` or ``observe`` raise ends the run.
    """
    asked = read(settings)
    source = Prompts(asks, asked.seed, repeat_prompts)
    with generating(Setup(api, source, asked.request_limit_s), asked.processes) as generator:
        return _Run(generator, asked, source, write, progress, observe).run()


class _Run:
    def __init__(
        self,
        generator: Generator,
        asked: LoadSettings,
        source: Prompts,
        write: Callable[[list[dict[str, Any]]], None] | None,
        progress: Callable[[dict[str, Any]], None] | None,
        observe: Callable[[], Any] | None,
    ) -> None:
        self.generator, self.asked, self.source = generator, asked, source
        self.write, self.progress, self.observe = write, progress, observe
        self.deadline = time.perf_counter() + asked.time_limit_s
        self.began = time.perf_counter()
        self.levels: list[dict[str, Any]] = []
        self.judged = searching.Search(0.0, 0.0, 0.0)
        self.stopped: str | None = None
        self.alone_s = 0.0
        self.lone: list[Record] = []
        self.alone_told: dict[str, Any] = {}
        self.settled = True
        self.digests: set[bytes] = set()
        self.used = {GIVEN: 0, VARIED: 0}
        self.repeated = 0

    def run(self) -> dict[str, Any]:
        """Hold every level; return the result."""
        self.warm_up()
        asked, ended = self.asked, None
        for concurrency in asked.concurrency:
            self.hold(ASKED, None, concurrency)
        for rate in asked.open_rates():
            if (kept := self.hold(ASKED, rate, None)) is not None:
                self.judged.add(rate, kept)
        if asked.searches:
            ended = self.search()
        capacity = None
        if asked.arrivals != CLOSED and asked.limits.set() and (asked.searches or asked.open_rates()):
            open_levels = [level for level in self.levels if level["rate_per_s"] is not None]
            resolution = asked.resolution if asked.searches else None
            capacity = searching.capacity(self.judged, open_levels, resolution, ended) | self.alone_told
        generator = self.generator
        return {
            "levels": self.levels,
            "capacity": capacity,
            "generator": {
                "processes": generator.most, "requests": generator.sent,
                "cpu_s": generator.cpu_s + generator.reading_cpu_s, "sending_cpu_s": generator.cpu_s,
                "cpu_share": max((level["cpu_share"] or 0.0 for level in self.levels), default=0.0),
                "cpu_ms_per_request": 1000 * (generator.cpu_s + generator.reading_cpu_s) / max(generator.sent, 1),
            },
            "prompts": {
                "given": self.used[GIVEN], "varied": self.used[VARIED], "repeated": self.repeated,
                "how": prompt_source.REPEATED if self.source.repeat else prompt_source.HOW,
            },
            "alone_s": self.alone_s,
            "duration_s": time.perf_counter() - self.began,
            "stopped": self.stopped,
        }  # fmt: skip

    def warm_up(self) -> None:
        """Send lone requests; their slowest latency is what a lone request takes."""
        records = self.alone(WARM_UP_REQUESTS)
        answered = [record for record in records if record.ok]
        if not answered:
            raise StudyError(f"none of the first {len(records)} requests was answered: {records[-1].error}")
        self.lone = answered
        self.alone_s = max(record.latency_s for record in answered)
        self.keep(records)

    def alone(self, count: int) -> list[Record]:
        """Send so many requests one after the other."""
        self.generator.begin(0, CLOSED, None, 1, 0, count, most=count)
        records: list[Record] = []
        while self.generator.busy:
            records += self.generator.read(self.generator.news(TICK_S)[0])
            if self.progress:
                self.progress({"level": 0, "of": count, "sent": count, "answered": len(records), "phase": WARM_UP})
        for record in records:
            record.phase = WARM_UP
        return records

    def settle(self) -> None:
        """Wait until a lone request is answered as fast as in the warm-up."""
        until = time.perf_counter() + SETTLE_LIMIT_S
        self.settled = False
        while not self.settled and time.perf_counter() < until:
            records = self.alone(1)
            self.keep(records)
            self.settled = records[-1].ok and records[-1].latency_s <= SETTLED * self.alone_s
            if not records[-1].ok:
                time.sleep(TICK_S)

    def keep(self, records: list[Record]) -> None:
        """Count the prompts of records, and hand them on."""
        for record in records:
            self.used[record.prompt] += 1
            self.repeated += record.digest in self.digests
            self.digests.add(record.digest)
        if self.write and records:
            self.write([record.document() for record in records])

    def hold(
        self, purpose: str, rate: float | None, concurrency: int | None, requests: int | None = None, again: int = 0
    ) -> bool | None:
        """Hold a level, unless the run is over; return whether it keeps the limits, None where that is not known."""
        asked = self.asked
        count = requests if requests is not None else asked.requests
        window = None if count else asked.duration_s
        if self.stopped:
            return None
        if self.too_long(rate, count, window):
            level = f"{rate:g} requests/s" if rate else f"{concurrency} requests at a time"
            self.stopped = f"{level} would not have fitted into load.time_limit_s ({asked.time_limit_s:g} s)."
            return None
        plan = Plan(
            number=len(self.levels) + 1, purpose=purpose, arrivals=asked.arrivals if rate else CLOSED, rate=rate,
            concurrency=concurrency, seed=asked.seed + again * SEED_STEP, requests=count, window_s=window,
            limits=asked.limits, decided=purpose in (SEARCHED, AGAIN),
        )  # fmt: skip
        before = self.observe() if self.observe else None
        held = Level(self.generator, plan, self.deadline, self.progress).run()
        self.keep(held.records)
        was_settled = self.settled
        if held.ended_early and not held.gone:
            self.settle()
        level = summary(held)
        if not was_settled:
            level["flags"].append(NOT_SETTLED)
        if self.observe:
            level["observed"] = [before, self.observe()]
        self.levels.append(level)
        self.stop_after(held)
        return level["keeps_limits"]

    def stop_after(self, held: Held) -> None:
        """End the run where the server does not answer, or the time is over."""
        if held.gone or (held.ended_early and time.perf_counter() > self.deadline):
            self.stopped = held.ended_early

    def too_long(self, rate: float | None, count: int | None, window: float | None) -> bool:
        """Whether a level of a rate would last beyond the time for the run."""
        expected = window or (count / rate if rate else 0.0)
        return time.perf_counter() + expected * 1.1 + self.alone_s > self.deadline

    def search(self) -> str | None:
        """Search the highest rate that keeps the limits; return why it ended early, or None."""
        if self.breaks_alone():
            return None
        closed: list[dict[str, Any]] = []
        for concurrency in estimate.CONCURRENCIES:
            self.hold(ESTIMATE, None, concurrency, estimate.requests(concurrency))
            if self.stopped:
                return self.stopped.rstrip(".")
            closed.append(self.levels[-1])
            if estimate.is_enough(
                closed, statistics.median(record.latency_s for record in self.lone), self.asked.limits
            ):
                break
        self.judged = searching.Search(
            first=searching.rounded(estimate.first(closed, self.lone, self.asked)),
            lowest=searching.rounded(searching.LONELY / self.alone_s),
            resolution=self.asked.resolution,
            most=estimate.most(closed, self.alone_s),
        )
        ended = searching.run(self.judged, self.test, self.asked.max_levels)
        return self.stopped.rstrip(".") if ended and self.stopped else ended

    def breaks_alone(self) -> bool:
        """Return whether lone requests break a limit, so that every rate does."""
        if not estimate.alone_over(self.lone, self.asked.limits):
            return False
        self.hold(ALONE, None, 1, ALONE_REQUESTS)
        broken = [] if self.stopped else estimate.over(self.levels[-1], self.asked.limits)
        if broken:
            self.alone_told = estimate.told(self.levels[-1], broken[0], self.asked.limits)
        return bool(broken)

    def test(self, rate: float, again: int) -> bool | None:
        """Hold a level of the search; one that breaks the limits while requests were sent late is held again."""
        kept = None
        for _ in range(LATE_TIMES):
            kept = self.hold(AGAIN if again else SEARCHED, rate, None, self.judged_by(rate), again)
            if kept is not False or LATE_SENDS not in self.levels[-1]["flags"]:
                break
        level = self.levels[-1] if self.levels else {}
        if kept is False and level["saturated"] and self.answers_of(level) >= ANSWERS:
            self.judged.most = level["completed_per_s"]
        return kept

    @staticmethod
    def answers_of(level: dict[str, Any]) -> float:
        """Return how many answers are behind what a level completed a second."""
        begin, end = level["window_s"] or (0.0, 0.0)
        return (level["completed_per_s"] or 0.0) * (end - begin)

    def judged_by(self, rate: float) -> int:
        """Return how many requests a level of a search measures."""
        asked = self.asked
        wanted = asked.requests or math.ceil(rate * asked.duration_s)
        return max(wanted, asked.limits.needed, math.ceil(rate * asked.min_window_s))
