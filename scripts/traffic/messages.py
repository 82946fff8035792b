"""What the generator and its sending processes say to each other."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.serving.client import Api, Ask, Exchange
from scripts.traffic.prompts import Prompts

#: The kind of error of a request that was given up with its level.
CANCELLED = "cancelled"
READY, PREPARED_FOR, NEWS, DONE, ERROR = "ready", "prepared", "news", "done", "error"
LEVEL, GO, STOP, ABANDON = "level", "go", "stop", "abandon"


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
        index: of this process.
        of: how many send.
        first_prompt: number of the prompt of the level's first request.
        expected: requests of this process that are likely, and prepared in advance.
        most: requests of this process, None for no end.
    """

    level: int
    arrivals: str
    rate: float | None
    concurrency: int
    seed: int
    index: int
    of: int
    first_prompt: int
    expected: int = 0
    most: int | None = None


@dataclass(slots=True)
class Sent:
    """A request that is through, not yet read.

    Attributes:
        number: of the request in its level.
        ask: the request.
        source: of its prompt.
        made: what came.
        process: that sent it.
    """

    number: int
    ask: Ask
    source: str
    made: Exchange
    process: int

    @property
    def failure(self) -> tuple[str, str] | None:
        """Kind and sentence of what is known to have failed before the answer is read, or None."""
        answer, failure = self.made.answer, self.made.failure
        if answer.error_kind is not None:
            return answer.error_kind, answer.error
        return None if failure is None else (failure[0], failure[2 if self.made.pieces else 1])

    @property
    def size(self) -> int:
        """Bytes of the answer."""
        return sum(len(piece) for _, piece in self.made.pieces)
