"""A process that sends its share of the requests of each level.

    python -m scripts.traffic.sender FD    (by the generator alone; FD is its end of a pair of sockets)

An open loop never waits for answers: a request is sent when it is due, or at once where that has passed, and counts
from when it was due. So a server that stalls is charged for every request that it kept from being served.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from scripts.foundation import parent
from scripts.foundation.errors import StudyError
from scripts.serving.client import Answer, Api, Client
from scripts.serving.loop import run_exactly
from scripts.traffic import arrivals
from scripts.traffic.prompts import Prompts
from scripts.traffic.records import CANCELLED, Record, record
from scripts.traffic.settings import CLOSED

#: How often answers are handed on.
FLUSH_S = 0.05
NICE = -10
READY, NEWS, DONE, ERROR = "ready", "news", "done", "error"
LEVEL, STOP, ABANDON = "level", "stop", "abandon"


@dataclass(frozen=True)
class Setup:
    """What a process knows from its start: how to ask, what, and how long a request may take."""

    api: Api
    prompts: Prompts
    request_limit_s: float


@dataclass(frozen=True)
class Share:
    """What one process sends of a level.

    Attributes:
        level: its number.
        arrivals: ``poisson``, ``constant`` or ``closed``.
        rate: of the whole level, in requests per second; an open loop's.
        concurrency: of this process; a closed loop's.
        seed: of the arrivals.
        start: the level's begin, as a moment of ``time.perf_counter``, which all processes of a machine share.
        index: of this process.
        of: how many send.
        first_prompt: number of the prompt of the level's first request.
        most: requests of this process, None for no end.
    """

    level: int
    arrivals: str
    rate: float | None
    concurrency: int
    seed: int
    start: float
    index: int
    of: int
    first_prompt: int
    most: int | None = None


class Sender:
    """Sends, and hands on what came.

    Args:
        channel: to the generator.
        setup: see Setup.
        client: to send with.
    """

    def __init__(self, channel: Connection, setup: Setup, client: Client) -> None:
        self.channel, self.setup, self.client = channel, setup, client
        self.loop = asyncio.get_running_loop()
        self.ended = self.loop.create_future()
        self.share: Share | None = None
        self.tasks: set[asyncio.Task] = set()
        self.records: list[Record] = []
        self.sent: list[tuple[int, float]] = []
        self.timer: asyncio.Handle | None = None
        self.flusher: asyncio.Handle | None = None

    def obey(self) -> None:
        """Read what the generator wants."""
        try:
            word, value = self.channel.recv()
        except (EOFError, OSError):
            if not self.ended.done():
                self.ended.set_result(None)
            return
        if word == LEVEL:
            self.begin(value)
        elif self.share is not None:
            self.stop(abandon=word == ABANDON)

    def begin(self, share: Share) -> None:
        """Begin with a level."""
        gc.collect()
        gc.freeze()
        gc.disable()
        self.share, self.stopped, self.count = share, False, 0
        self.cpu_s = time.process_time()
        self.flusher = self.loop.call_later(FLUSH_S, self.flush)
        if share.arrivals == CLOSED:
            for _ in range(share.concurrency):
                self.keep(self.loop.create_task(self.one_after_the_other()))
            return
        self.moments = enumerate(arrivals.moments(share.arrivals, share.rate, share.seed))
        self.schedule()

    def schedule(self) -> None:
        """Prepare this process's next request and call for it when it is due."""
        share = self.share
        if share.most is not None and self.count >= share.most:
            self.stopped = True
            return
        number, moment = next(self.moments)
        while number % share.of != share.index:
            number, moment = next(self.moments)
        self.count += 1
        ask, source = self.setup.prompts.ask(share.first_prompt + number)
        due = share.start + moment
        self.timer = self.loop.call_later(max(0.0, due - time.perf_counter()), self.fire, number, due, ask, source)

    def fire(self, number: int, due: float, ask: Any, source: str) -> None:
        """Send a request without waiting for its answer."""
        self.keep(self.loop.create_task(self.send(number, due, ask, source)))
        self.schedule()

    async def one_after_the_other(self) -> None:
        """Send requests of a closed loop, each when the one before is answered."""
        share = self.share
        await asyncio.sleep(max(0.0, share.start - time.perf_counter()))
        while not self.stopped and (share.most is None or self.count < share.most):
            number = self.count * share.of + share.index
            self.count += 1
            ask, source = self.setup.prompts.ask(share.first_prompt + number)
            if not await self.send(number, time.perf_counter(), ask, source):
                await asyncio.sleep(0.01)  # a server that refuses at once is not asked as fast as this process can

    async def send(self, number: int, due: float, ask: Any, source: str) -> bool:
        """Send a request and keep its record; return whether it was answered."""
        share, sent = self.share, time.perf_counter()
        self.sent.append((number, due - share.start))
        try:
            answer = await self.client.send(ask, due)
        except asyncio.CancelledError:
            answer = Answer(due=due, sent=sent, ended=time.perf_counter())
            answer.fail(CANCELLED, "the level ended before this request was answered.")
        except StudyError as error:
            self.channel.send((ERROR, str(error)))
            self.stop(abandon=True)
            return False
        prompt = ask.token_ids if self.setup.api.sends_ids(ask) else ask.text
        self.records.append(record(answer, ask, prompt, share.level, number, share.start, source, share.index))
        return answer.ok

    def keep(self, task: asyncio.Task) -> None:
        """Hold a task until it is done, and see then whether the level is."""
        self.tasks.add(task)
        task.add_done_callback(self.forget)

    def forget(self, task: asyncio.Task) -> None:
        """Let go of a task."""
        self.tasks.discard(task)
        if not task.cancelled():
            task.result()  # a fault of this code is not to be lost

    def stop(self, abandon: bool) -> None:
        """Send nothing more; abandon what is not answered, where asked."""
        self.stopped = True
        if self.timer:
            self.timer.cancel()
        if abandon:
            for task in list(self.tasks):
                if task is not asyncio.current_task():
                    task.cancel()

    def flush(self) -> None:
        """Hand on what came since the last time, and whether the level is done."""
        records, sent, self.records, self.sent = self.records, self.sent, [], []
        if records or sent:
            self.channel.send((NEWS, (records, sent)))
        if not self.tasks and (self.stopped or self.share.arrivals == CLOSED):
            gc.enable()
            self.channel.send((DONE, time.process_time() - self.cpu_s))
            self.share = None
            return
        self.flusher = self.loop.call_later(FLUSH_S, self.flush)


async def serve(channel: Connection) -> None:
    """Send levels until the generator closes the channel."""
    setup: Setup = channel.recv()
    async with Client(setup.api, setup.request_limit_s) as client:
        sender = Sender(channel, setup, client)
        sender.loop.add_reader(channel.fileno(), sender.obey)
        sender.loop.set_exception_handler(lambda loop, context: _fault(sender, context))
        channel.send((READY, None))
        await sender.ended


def _fault(sender: Sender, context: dict[str, Any]) -> None:
    """End where this code is at fault, rather than go on with a part of the load."""
    if not sender.ended.done():
        sender.ended.set_exception(context.get("exception") or RuntimeError(context["message"]))


def main() -> None:
    """Serve the generator on the descriptor that is named."""
    parent.end_with_parent()
    # Where it may, it goes before a server that uses every core: a late request is no request of the load asked for.
    with contextlib.suppress(OSError):
        os.nice(NICE)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    run_exactly(serve(Connection(int(sys.argv[1]))))


if __name__ == "__main__":
    main()
