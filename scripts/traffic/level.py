"""One level of load: a rate, or a number of requests at the same time, held until enough requests were measured."""

from __future__ import annotations

import math
import statistics
import time
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field

from scripts.serving.api import TIMEOUT
from scripts.traffic import arrivals, saturation
from scripts.traffic.generator import Generator
from scripts.traffic.messages import Sent
from scripts.traffic.records import COOL_DOWN, MEASURED, RAMP_UP, Record
from scripts.traffic.settings import Limits

#: The ramp-up lasts until this share of the measured number of requests is answered, and at least and most so many.
RAMP_UP_SHARE = 0.1
RAMP_UP_LEAST, RAMP_UP_MOST = 10, 200
#: A closed loop's lasts at least until each of its places was taken so often.
RAMP_UP_TURNS = 2
#: What is broken where too many requests fail.
FAILURES = "failures"
#: A generator that is so late does not put on the load that was asked for.
MOST_BEHIND_S = 1.0
#: Bytes of answers that are kept until the level is over; beyond that they are read while it goes on.
MOST_UNREAD = 200 * 1024**2
#: Moments are of another origin in another process, and rounded on the way.
ROUNDING_S = 1e-6
TICK_S = 0.05
PROGRESS_S = 0.5
#: A level ends when so many requests failed in a row, from its begin or at any time.
FAILED_IN_A_ROW = 50
#: Descriptors and memory are not without end.
MOST_OUTSTANDING = 10_000


@dataclass(frozen=True)
class Plan:
    """What a level is to be.

    Attributes:
        number: from 1.
        purpose: ``asked``, ``estimate``, ``search`` or ``again``.
        arrivals: ``poisson``, ``constant`` or ``closed``.
        rate: requests per second of an open loop, else None.
        concurrency: requests at the same time of a closed loop, else None.
        seed: of the arrivals.
        requests: how many are measured; None: as many as are due in ``window_s``.
        window_s: length of the measured window; None: until ``requests`` are.
        limits: that requests are held against.
        decided: whether the level ends as soon as a limit is broken whatever comes; of an open loop with ``requests``.
    """

    number: int
    purpose: str
    arrivals: str
    rate: float | None
    concurrency: int | None
    seed: int
    requests: int | None
    window_s: float | None
    limits: Limits
    decided: bool = False

    @property
    def expected(self) -> int:
        """How many requests are likely to be sent; of a closed loop of fixed length none is known."""
        if self.requests:
            return self.ramp_up + self.requests + (self.concurrency or RAMP_UP_LEAST)
        return math.ceil((self.rate or 0.0) * self.window_s) + self.ramp_up

    @property
    def ramp_up(self) -> int:
        """How many requests must be answered before the first is measured."""
        count = self.requests or math.ceil((self.rate or self.concurrency) * self.window_s)
        least = RAMP_UP_TURNS * self.concurrency if self.concurrency else RAMP_UP_LEAST
        return max(RAMP_UP_LEAST, least, min(math.ceil(RAMP_UP_SHARE * count), RAMP_UP_MOST))


@dataclass
class Held:
    """A level as it was; moments are seconds since its begin.

    Attributes:
        plan: what it was to be.
        records: of all requests, in the order in which they were due.
        window: begin and end of the measured window; None where the ramp-up did not end.
        duration_s: until nothing more was to come.
        saturated: whether the queue grew without bound, or answers fell behind the rate over the window.
        broken: the limit that was broken whatever would have come, or ``failures``, which ended it; else None.
        ended_early: one sentence, or None.
        late: whether it ended since requests could not be sent in time.
        gone: whether it ended since the server does not answer.
        shares_of_a_core: of each sending process.
    """

    plan: Plan
    records: list[Record] = field(default_factory=list)
    window: tuple[float, float] | None = None
    duration_s: float = 0.0
    saturated: bool = False
    broken: str | None = None
    ended_early: str | None = None
    late: bool = False
    gone: bool = False
    shares_of_a_core: list[float] = field(default_factory=list)

    @property
    def measured(self) -> list[Record]:
        """The measured requests that were answered or failed."""
        return [record for record in self.records if record.phase == MEASURED]


class Level:
    """Holds a level.

    Args:
        generator: sends.
        plan: what the level is to be.
        deadline: latest end, as a moment of ``time.perf_counter``.
        progress: called at least every second.
    """

    def __init__(
        self, generator: Generator, plan: Plan, deadline: float, progress: Callable[[dict], None] | None = None
    ) -> None:
        self.generator, self.plan, self.deadline, self.progress = generator, plan, deadline, progress
        self.held = Held(plan)
        self.due: list[float] = []  # of what was sent, ascending
        self.numbers: dict[int, float] = {}  # due moment of what is sent and not answered
        self.ended: list[float] = []  # ascending
        self.ramp_end: float | None = None
        self.until: float | None = None
        self.in_a_row = 0
        self.unread: list[Sent] = []
        self.unread_bytes = 0
        self.early: list[float] = []  # latencies of the ramp-up
        self.answered = 0
        self.last_failure: tuple[str, str] | None = None
        self.over = {FAILURES: 0} | dict.fromkeys(plan.limits.set(), 0)
        self.told = 0.0

    def run(self) -> Held:
        """Send until the measured requests are answered, or the level must end; return what came."""
        plan, generator = self.plan, self.generator
        generator.begin(plan.number, plan.arrivals, plan.rate, plan.concurrency, plan.seed, plan.expected)
        if plan.rate:
            self.schedule = arrivals.moments(plan.arrivals, plan.rate, plan.seed)
            self.planned: list[float] = []
        while generator.busy:
            self.take(*generator.news(TICK_S))
            reason = self.reason()
            if reason is not None:
                self.held.ended_early = reason or None
                break
            self.tell("measured" if self.ramp_end is not None else "ramp_up")
        generator.stop(abandon=self.held.ended_early is not None)
        while generator.busy:
            self.take(*generator.news(TICK_S))
            self.tell("cool_down")
        return self.finished()

    def now(self) -> float:
        """Seconds since the level's begin."""
        return time.perf_counter() - self.generator.start

    def take(self, through: list[Sent], sent: list[tuple[int, float]]) -> None:
        """Note what was sent and what came; answers are read later, when reading holds up nothing."""
        for number, due in sent:
            insort(self.due, due)
            self.numbers[number] = due
        for one in through:
            self.numbers.pop(one.number, None)
            insort(self.ended, one.made.answer.ended - self.generator.start)
            failure, pieces = one.failure, one.made.pieces
            self.last_failure = failure or self.last_failure
            self.in_a_row = self.in_a_row + 1 if failure else 0
            self.answered += failure is None
            if self.ramp_end is None and failure is None and pieces:
                self.early.append(pieces[-1][0] - one.made.answer.due)
            self.unread_bytes += one.size
        self.unread += through
        if self.ramp_end is None and len(self.ended) >= self.plan.ramp_up:
            self.ramp_end = self.ended[self.plan.ramp_up - 1]
            self.latency = statistics.median(self.early) if self.early else 0.0
        if self.plan.decided and self.ramp_end is not None:
            self.count(through)
        if self.unread_bytes > MOST_UNREAD:
            self.read()

    def read(self) -> None:
        """Read the answers that came."""
        for record in self.generator.read(self.unread):
            self.held.records.append(record)
            self.tell("reading")
        self.unread, self.unread_bytes = [], 0

    def count(self, through: list[Sent]) -> None:
        """Count measured requests that failed or are known to have broken a limit; what is not sure counts as kept."""
        until, start, limits = self.measured_until(), self.generator.start, self.plan.limits
        for one in through:
            answer, pieces = one.made.answer, one.made.pieces
            if self.ramp_end <= answer.due - start <= until:
                failed = one.failure is not None
                self.over[FAILURES] += failed
                # The last piece can be the usage alone, and the first a role.
                ends = {"ttft_ms": pieces[0][0], "latency_ms": pieces[-2:][0][0]} if pieces else {}
                for name, limit in limits.set().items():
                    self.over[name] += failed or (ends.get(name, answer.due) - answer.due) * 1000 > limit

    def reason(self) -> str | None:
        """Return why the level ends: a sentence where it is early, an empty text where it is done, else None."""
        now = self.now()
        if self.in_a_row >= FAILED_IN_A_ROW:
            # A server that answered before and now answers too late is there, under too much load.
            kind, sentence = self.last_failure
            self.held.saturated = kind == TIMEOUT and self.answered > 0
            self.held.gone = not self.held.saturated
            return f"{self.in_a_row} requests in a row failed: {sentence}"
        if time.perf_counter() > self.deadline:
            return "the time for the load run was over."
        if self.plan.rate and self.behind(now) > MOST_BEHIND_S:
            self.held.late = True
            return f"requests could not be sent as they were due, the last one {self.behind(now):.1f} s late."
        if len(self.numbers) > MOST_OUTSTANDING:
            self.held.saturated = True
            return f"more than {MOST_OUTSTANDING:,} requests were waiting for an answer."
        if self.ramp_end is None:
            return None
        if self.plan.decided and (broken := self.certainly_broken(now)):
            return broken
        if self.plan.rate and saturation.grows(self.due, self.ended, self.ramp_end, now - 2 * TICK_S, self.latency):
            self.held.saturated = True
            return "the number of requests that wait for an answer grew without bound."
        return "" if self.is_complete(now) else None

    def behind(self, now: float) -> float:
        """Return for how long the next request of an open loop has been due, beyond what its report takes."""
        self.plan_ahead(len(self.due) + 1)
        return now - 2 * TICK_S - self.planned[len(self.due)]

    def measured_until(self) -> float | None:
        """Return when the last measured request is due; None where that is not known yet."""
        if self.until is not None:
            return self.until
        if self.plan.window_s is not None:
            self.until = self.ramp_end + self.plan.window_s
            return self.until
        if self.plan.rate:
            wanted = self.first_measured() + self.plan.requests
            self.plan_ahead(wanted)
            self.until = self.planned[wanted - 1] + ROUNDING_S
            return self.until
        sent = [due for due in self.due if due >= self.ramp_end]
        return sent[self.plan.requests - 1] + ROUNDING_S if len(sent) >= self.plan.requests else None

    def first_measured(self) -> int:
        """Return the number of the first request of an open loop that is due after the ramp-up."""
        self.plan_ahead(len(self.due) + 1)
        while self.planned[-1] < self.ramp_end:
            self.plan_ahead(len(self.planned) + 1)
        return next(number for number, due in enumerate(self.planned) if due >= self.ramp_end)

    def plan_ahead(self, count: int) -> None:
        """Know when so many requests of an open loop are due."""
        while len(self.planned) < count:
            self.planned.append(next(self.schedule))

    def is_complete(self, now: float) -> bool:
        """Whether every measured request is sent and answered."""
        until = self.measured_until()
        # What is due is reported up to two ticks later.
        if until is None or now < until + 2 * TICK_S or (self.plan.rate and not self.all_sent(until)):
            return False
        return not any(self.ramp_end <= due <= until for due in self.numbers.values())

    def all_sent(self, until: float) -> bool:
        """Whether every request of an open loop that is due until a moment is sent, which may be late."""
        self.plan_ahead(len(self.due) + 1)
        return self.planned[len(self.due)] > until

    def certainly_broken(self, now: float) -> str | None:
        """Return a sentence where more measured requests broke a limit than the percentile allows of all of them."""
        plan = self.plan
        until = self.measured_until()
        total = plan.requests
        allowed = total - math.ceil(round(plan.limits.share * total, 9))
        late = 0
        if limit := plan.limits.latency_ms:
            oldest = now - 2 * TICK_S - limit / 1000
            late = sum(self.ramp_end <= due <= min(oldest, until) for due in self.numbers.values())
        for name, count in self.over.items():
            count += late if name == "latency_ms" else 0
            if count > allowed:
                self.held.broken = name
                what = "failed" if name == FAILURES else f"broke {name}"
                return f"{count} of {total} measured requests {what}, where {allowed} may at most."
        return None

    def tell(self, phase: str) -> None:
        """Say how far the level is."""
        if self.progress and time.perf_counter() - self.told > PROGRESS_S:
            self.told = time.perf_counter()
            sent, answered = len(self.due), len(self.ended)
            of = self.plan.ramp_up + (self.plan.requests or 0)
            self.progress({"level": self.plan.number, "of": of, "sent": sent, "answered": answered, "phase": phase})

    def finished(self) -> Held:
        """Return the level with its window and each request's phase."""
        held, plan = self.held, self.plan
        held.duration_s = self.now()
        self.read()
        if not held.ended_early and not any(record.ok for record in held.records):
            held.gone = True
            held.ended_early = f"no request was answered: {held.records[-1].error}"
        held.shares_of_a_core = self.generator.shares_of_a_core
        held.records.sort(key=lambda record: (record.due_s, record.number))
        until = None
        if self.ramp_end is not None:
            until = self.measured_until()
            after = [record.due_s for record in held.records if record.due_s >= self.ramp_end]
            last = after[-1] if after else self.ramp_end
            if plan.window_s is None:
                until = last if until is None else min(until, last)
            held.window = (self.ramp_end, until)
            if plan.rate and not held.ended_early:
                held.saturated = saturation.falls_behind(self.due, self.ended, *held.window)
        for record in held.records:
            if self.ramp_end is None or record.due_s < self.ramp_end:
                record.phase = RAMP_UP
            else:
                record.phase = MEASURED if record.due_s <= until else COOL_DOWN
        return held
