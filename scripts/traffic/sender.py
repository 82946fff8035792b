"""A process that sends its share of the requests of each level.

    python -m scripts.traffic.sender FD    (by the generator alone; FD is its end of a pair of sockets)

An open loop never waits for answers: a request is sent when it is due, or at once where that has passed, and counts
from when it was due. So a server that stalls is charged for every request that it kept from being served.
Requests are prepared before their level begins, and answers are read when it is over, so that sending is not held up.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import resource
import sys
import time
from collections import deque
from multiprocessing.connection import Connection
from typing import Any

from scripts.foundation import parent
from scripts.foundation.errors import StudyError
from scripts.serving.client import Answer, Ask, Client, Exchange
from scripts.serving.loop import run_before_others, run_exactly
from scripts.traffic import arrivals
from scripts.traffic.messages import (
    ABANDON,
    CANCELLED,
    DONE,
    ERROR,
    GO,
    LEVEL,
    NEWS,
    PREPARED_FOR,
    READY,
    Sent,
    Setup,
    Share,
)  # fmt: skip
from scripts.traffic.settings import CLOSED

#: How often answers are handed on.
FLUSH_S = 0.05
#: As many requests are prepared before a level begins, at most.
PREPARED = 20_000


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
        self.through: list[Sent] = []
        self.start = 0.0
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
            self.prepare(value)
        elif word == GO:
            self.begin(value)
        elif self.share is not None:
            self.stop(abandon=word == ABANDON)

    def prepare(self, share: Share) -> None:
        """Prepare the requests of a level."""
        self.share, self.stopped, self.count = share, False, 0
        # Garbage of the level before is collected now, and none while requests are due.
        gc.collect()
        gc.freeze()
        gc.disable()
        self.cpu_s = time.process_time()
        if share.arrivals == CLOSED:
            numbers = ((number, None) for number in itertools.count(share.index, share.of))
        else:
            moments = arrivals.moments(share.arrivals, share.rate, share.seed)
            numbers = itertools.islice(enumerate(moments), share.index, None, share.of)
        self.upcoming = ((number, at, *self.setup.prompts.ask(share.first_prompt + number)) for number, at in numbers)
        self.prepared = deque(itertools.islice(self.upcoming, min(share.expected, PREPARED)))
        self.channel.send((PREPARED_FOR, share.level))

    def begin(self, start: float) -> None:
        """Begin with the level that was prepared, at a moment of ``time.perf_counter``, which processes share."""
        self.start = start
        self.flusher = self.loop.call_later(FLUSH_S, self.flush)
        if self.share.arrivals == CLOSED:
            for _ in range(self.share.concurrency):
                self.keep(self.loop.create_task(self.one_after_the_other()))
        else:
            self.next = self.following()
            self.fire()

    def following(self) -> tuple[int, float | None, Ask, str] | None:
        """Return number, due moment, prompt and its source of the next request; None where there is none."""
        if self.share.most is not None and self.count >= self.share.most:
            return None
        self.count += 1
        return self.prepared.popleft() if self.prepared else next(self.upcoming)

    def fire(self) -> None:
        """Send what is due without waiting for answers, and call for the next when it is."""
        while self.next is not None:
            number, at, ask, source = self.next
            due = self.start + at
            wait = due - time.perf_counter()
            if wait > 0:
                self.timer = self.loop.call_later(wait, self.fire)
                return
            self.keep(self.loop.create_task(self.send(number, due, ask, source)))
            self.next = self.following()
        self.stopped = True

    async def one_after_the_other(self) -> None:
        """Send requests of a closed loop, each when the one before is answered."""
        await asyncio.sleep(max(0.0, self.start - time.perf_counter()))
        while not self.stopped and (upcoming := self.following()) is not None:
            number, _, ask, source = upcoming
            if not await self.send(number, time.perf_counter(), ask, source):
                await asyncio.sleep(0.01)  # a server that refuses at once is not asked as fast as this process can

    async def send(self, number: int, due: float, ask: Ask, source: str) -> bool:
        """Send a request and keep what came; return whether it was taken."""
        sent = time.perf_counter()
        self.sent.append((number, due - self.start))
        try:
            made = await self.client.exchange(ask, due)
        except asyncio.CancelledError:
            made = Exchange(Answer(due=due, sent=sent, ended=time.perf_counter(), id=ask.id))
            made.answer.fail(CANCELLED, "the level ended before this request was answered.")
        except StudyError as error:
            self.channel.send((ERROR, str(error)))
            self.stop(abandon=True)
            return False
        self.through.append(Sent(number, ask, source, made, self.share.index))
        return made.whole

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
        through, sent, self.through, self.sent = self.through, self.sent, [], []
        if through or sent:
            self.channel.send((NEWS, (through, sent)))
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
    # Also before a server that uses every core: a request that is late is none of the load that was asked for.
    run_before_others()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    run_exactly(serve(Connection(int(sys.argv[1]))))


if __name__ == "__main__":
    main()
