"""The processes that send, seen from the one that leads a load run."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path

from scripts.foundation import parent
from scripts.foundation.errors import StudyError
from scripts.traffic import messages
from scripts.traffic.messages import Sent, Setup, Share
from scripts.traffic.records import Record, record
from scripts.traffic.settings import CLOSED

ROOT = Path(__file__).parents[2]
#: Processor time of sending a request until it is measured, in seconds: 16 chunks took this on a slow core.
FIRST_COST_S = 0.0015
#: A process is given so much of a core at most, so that it sends in time.
SHARE_OF_A_CORE = 0.4
START_LIMIT_S = 60.0
#: From the order to begin until the level begins.
LEAD_S = 0.1


@dataclass
class _Process:
    popen: subprocess.Popen
    channel: Connection
    busy: bool = False
    cpu_s: float = 0.0


@dataclass
class Generator:
    """Sends levels of load from one or several processes, which share each level's arrivals between them.

    Attributes:
        setup: how requests are sent.
        fixed: how many processes, or None for as many as a rate needs.
        start: begin of the current level, as a moment of ``time.perf_counter``.
        sent: requests sent so far, in all levels.
        cpu_s: processor time of the sending processes so far, in all levels.
        reading_cpu_s: processor time of this process so far, for leading levels and for reading their answers.
        shares_of_a_core: of the last level, of each process.
    """

    setup: Setup
    fixed: int | None = None
    start: float = 0.0
    sent: int = 0
    cpu_s: float = 0.0
    reading_cpu_s: float = 0.0
    most: int = 0
    next_prompt: int = 0
    shares_of_a_core: list[float] = field(default_factory=list)
    _processes: list[_Process] = field(default_factory=list)
    _in_use: int = 0

    @property
    def cost_s(self) -> float:
        """Processor time of a request, as measured, or a first guess."""
        return self.cpu_s / self.sent if self.sent >= 100 else FIRST_COST_S

    def processes_for(self, rate: float) -> int:
        """Return how many processes send a rate: each uses less than half a core, all together half of the cores."""
        if self.fixed:
            return self.fixed
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, min(math.ceil(rate * self.cost_s / SHARE_OF_A_CORE), cores // 2))

    def begin(
        self, level: int, arrivals: str, rate: float | None, concurrency: int | None, seed: int,
        expected: int = 0, most: int | None = None,
    ) -> None:  # fmt: skip
        """Begin a level of so many expected requests; see Share.

        A closed loop, whose rate is not known, is sent by one process for each 64 requests at a time.
        """
        if arrivals == CLOSED:
            count = min(self.processes_for(concurrency / 64 * SHARE_OF_A_CORE / self.cost_s), concurrency)
        else:
            count = self.processes_for(rate)
        self._ensure(count)
        self._in_use, self.most = count, max(self.most, count)
        self.level, self.first_prompt, self.shares_of_a_core = level, self.next_prompt, []
        self.own_cpu_s = time.process_time()
        for index, process in enumerate(self._processes[:count]):
            own = 0 if arrivals != CLOSED else concurrency // count + (index < concurrency % count)
            share = Share(
                level, arrivals, rate, own, seed, index, count, self.next_prompt, math.ceil(expected / count), most
            )
            self._tell(process, messages.LEVEL, share)
        for process in self._processes[:count]:
            self._await(process, messages.PREPARED_FOR)
        self.start = time.perf_counter() + LEAD_S
        for process in self._processes[:count]:
            process.busy = True
            self._tell(process, messages.GO, self.start)

    def news(self, limit_s: float) -> tuple[list[Sent], list[tuple[int, float]]]:
        """Wait for answers, at most so long; return them unread, and number and due moment of what was sent."""
        through: list[Sent] = []
        sent: list[tuple[int, float]] = []
        waiting = {process.channel: process for process in self._processes if process.busy}
        for channel in wait(list(waiting), limit_s):
            process = waiting[channel]
            word, value = self._heard(process)
            if word == messages.NEWS:
                through += value[0]
                sent += value[1]
            elif word == messages.DONE:
                process.busy, process.cpu_s = False, value
                self.cpu_s += value
                self.shares_of_a_core.append(value / max(time.perf_counter() - self.start, 1e-9))
            elif word == messages.ERROR:
                raise StudyError(value)
        if not self.busy:
            self.reading_cpu_s += time.process_time() - self.own_cpu_s
        self.sent += len(sent)
        for number, _ in sent:
            self.next_prompt = max(self.next_prompt, self.first_prompt + number + 1)
        return through, sent

    def read(self, through: Iterable[Sent]) -> Iterator[Record]:
        """Yield the records of answers of the current level; this takes time, so read when nothing is sent."""
        for one in through:
            began = time.process_time()
            made = record(one, self.setup.api, self.level, self.start)
            self.reading_cpu_s += time.process_time() - began
            yield made

    @property
    def busy(self) -> bool:
        """Whether the level goes on: something is still to be sent or to be answered."""
        return any(process.busy for process in self._processes)

    def stop(self, abandon: bool = False) -> None:
        """Send nothing more; abandon what is not answered, where asked."""
        for process in self._processes:
            if process.busy:
                self._tell(process, messages.ABANDON if abandon else messages.STOP, None)

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.channel.close()
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.popen.wait(2)
            process.popen.kill()
            process.popen.wait()
        self._processes = []

    def _ensure(self, count: int) -> None:
        new = [self._started() for _ in range(count - len(self._processes))]
        self._processes += new
        for process in new:
            self._await(process, messages.READY)

    def _started(self) -> _Process:
        ours, theirs = socket.socketpair()
        with theirs:
            popen = subprocess.Popen(
                [sys.executable, "-m", "scripts.traffic.sender", str(theirs.fileno())],
                cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                start_new_session=True,
                env=os.environ | {parent.PARENT: str(os.getpid())},
            )  # fmt: skip
        channel = Connection(ours.detach())
        channel.send(self.setup)
        return _Process(popen, channel)

    def _await(self, process: _Process, word: str) -> None:
        if not process.channel.poll(START_LIMIT_S) or self._heard(process)[0] != word:
            raise StudyError(f"a process that sends load was not ready within {START_LIMIT_S:g} s; run again.")

    def _heard(self, process: _Process) -> tuple:
        try:
            return process.channel.recv()
        except (EOFError, OSError):
            raise self._gone(process) from None

    def _tell(self, process: _Process, word: str, value: object) -> None:
        try:
            process.channel.send((word, value))
        except OSError:
            raise self._gone(process) from None

    def _gone(self, process: _Process) -> StudyError:
        with suppress(subprocess.TimeoutExpired):
            process.popen.wait(2)
        status = process.popen.poll()
        ended = f"was killed (signal {-status})" if status is not None and status < 0 else f"ended with status {status}"
        return StudyError(f"a process that sends the requests {ended}, so that this run has no figures; run it again.")


@contextmanager
def generating(setup: Setup, processes: int | None = None) -> Iterator[Generator]:
    """Yield a generator, and end its processes whatever happens."""
    generator = Generator(setup, processes)
    try:
        yield generator
    finally:
        generator.close()
