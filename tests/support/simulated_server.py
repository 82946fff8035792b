"""A server in computed time: a load run of minutes against it takes a moment, and no machine disturbs it."""

import contextlib
from collections import defaultdict, deque
from dataclasses import dataclass, field
from types import SimpleNamespace
from unittest import mock

from scripts.serving.client import Ask
from scripts.traffic import arrivals as arriving
from scripts.traffic import level, load
from scripts.traffic.messages import CANCELLED
from scripts.traffic.prompts import VARIED
from scripts.traffic.records import COOL_DOWN, Record
from scripts.traffic.settings import CLOSED

LEAD_S, PREPARE_S, READ_S = 0.1, 6e-5, 1.5e-4


@dataclass
class Server:
    """Continuous batching: a step takes ``step_s`` and ``each_s`` for each request in it, a request ``tokens`` steps.

    Requests beyond ``slots`` wait in the order in which they came.
    """

    slots: int = 1
    step_s: float = 0.01
    each_s: float = 0.0
    tokens: int = 1
    waiting: deque = field(default_factory=deque)
    leaving: dict = field(default_factory=lambda: defaultdict(list))
    active: int = 0
    steps: int = 0
    at: float = 0.0

    @property
    def most(self) -> float:
        """Requests a second with every place taken."""
        return self.slots / (self.tokens * (self.step_s + self.each_s * self.slots))

    def advance(self, until: float, arriving: deque) -> list["One"]:
        """Return what is answered until a moment; ``arriving`` are in order, and taken as they come."""
        done = []
        while True:
            if not self.active and not self.waiting:
                if not arriving or arriving[0].due > until:
                    self.at = max(self.at, until)
                    return done
                self.at = max(self.at, arriving[0].due)
            if self.at > until:
                return done
            while arriving and arriving[0].due <= self.at:
                self.waiting.append(arriving.popleft())
            while self.waiting and self.active < self.slots:
                self.active += 1
                self.leaving[self.steps + self.tokens].append(one := self.waiting.popleft())
                one.first = -1
            self.at += self.step_s + self.each_s * self.active
            self.steps += 1
            for place in (self.steps, self.steps - 1 + self.tokens):
                for one in self.leaving.get(place, ()):
                    one.first = self.at if one.first in (-1, None) else one.first
            left = self.leaving.pop(self.steps, [])
            self.active -= len(left)
            for one in left:
                one.ended = self.at
            done += left

    def clear(self) -> list["One"]:
        """Give up all requests; return them."""
        given_up = [*self.waiting, *(one for several in self.leaving.values() for one in several)]
        self.waiting.clear()
        self.leaving.clear()
        self.active = 0
        return given_up


class One:
    """A request, as a level reads it; moments are of the computed clock."""

    __slots__ = ("cancelled", "due", "ended", "first", "number")
    failure, size = None, 1

    def __init__(self, number, due):
        self.number, self.due = number, due
        self.first = self.ended = None
        self.cancelled = False

    @property
    def made(self):
        answer = SimpleNamespace(ended=self.ended, due=self.due)
        return SimpleNamespace(answer=answer, pieces=[(self.first, b""), (self.ended, b""), (self.ended, b"")])


class Generator:
    """Sends in computed time what a level asks for; see ``scripts.traffic.generator.Generator``."""

    def __init__(self, server, clock):
        self.server, self.clock = server, clock
        self.start = self.cpu_s = self.reading_cpu_s = 0.0
        self.sent = self.prompts = 0
        self.most, self.busy, self.shares_of_a_core = 1, False, [0.1]

    def begin(self, level, arrivals, rate, concurrency, seed, expected=0, most=None):
        self.clock.now += LEAD_S + PREPARE_S * expected
        self.start, self.level, self.busy, self.stopped, self.count, self.limit = (
            self.clock.now,
            level,
            True,
            False,
            0,
            most,
        )
        self.server.at = max(self.server.at, self.start)
        self.coming, self.closed = deque(), arrivals == CLOSED
        self.due = None if self.closed else arriving.moments(arrivals, rate, seed)
        self.going = 0
        self.new = []
        if self.closed:
            for _ in range(concurrency):
                self._send(self.start)
        else:
            self.following = next(self.due)

    def _send(self, due):
        if self.limit is not None and self.count >= self.limit:
            return
        one = One(self.count, due)
        self.count, self.sent, self.going = self.count + 1, self.sent + 1, self.going + 1
        self.coming.append(one)
        self.new.append((one.number, due - self.start))

    def news(self, limit_s):
        until = self.clock.now + limit_s
        done = []
        if not self.closed:
            while not self.stopped and self.start + self.following <= until:
                self._send(self.start + self.following)
                self.following = next(self.due)
            done = self.server.advance(until, self.coming)
        else:
            moment = self.clock.now
            while moment < until:
                moment = min(moment + max(self.server.step_s / 4, 1e-4), until)
                for one in self.server.advance(moment, self.coming):
                    done.append(one)
                    if not self.stopped:
                        self._send(max(one.ended, moment))
        self.clock.now = until
        self.going -= len(done)
        self.busy = self.going > 0 if self.stopped or self.limit is not None else True
        if self.stopped and self.abandoned:
            given_up = [*self.server.clear(), *self.coming]
            self.coming.clear()
            for one in given_up:
                one.cancelled, one.ended, one.first = True, until, until
            done, self.busy = [*done, *given_up], False
        new, self.new = self.new, []
        return done, new

    def stop(self, abandon=False):
        self.stopped, self.abandoned = True, abandon

    def read(self, through):
        for one in through:
            self.clock.now += READ_S
            self.prompts += 1
            due, first, ended = (moment - self.start for moment in (one.due, one.first, one.ended))
            failed = (CANCELLED, "given up") if one.cancelled else (None, None)
            times = (None, None) if one.cancelled else (first, ended)
            yield Record(self.level, one.number, "", VARIED, COOL_DOWN, due, due, *times, ended, 8, self.server.tokens,
                         self.server.tokens, "length", *failed, 0, None, None, self.prompts)  # fmt: skip


class Clock:
    """In place of the module ``time``."""

    def __init__(self):
        self.now = 1000.0

    def perf_counter(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def run(server, settings, **options):
    """Return what ``run_load`` returns of a load run against a server in computed time."""
    clock = Clock()
    generator = Generator(server, clock)
    asks = [Ask(f"some words of text {n}", (1, 2, n + 3), 16) for n in range(5)]
    with (
        mock.patch.object(level, "time", clock),
        mock.patch.object(load, "time", clock),
        mock.patch.object(load, "generating", return_value=contextlib.nullcontext(generator)),
    ):
        return load.run_load(None, asks, settings, **options)
