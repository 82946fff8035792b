"""The interface of loops that serve requests as they come."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.runtime.stops import NOTHING_HELD, Held

if TYPE_CHECKING:
    from scripts.runtime.drawing import Sampler
    from scripts.runtime.generation import Observation

STOP, LENGTH = "stop", "length"  # why a request ended
Event = tuple[Hashable, int, str | None]
"""A request's key, its next token, and why it ended if this is its last."""
Likely = tuple[Hashable, float, list[int], list[float]]
"""A request's key, its next token's log-probability in nats, the likeliest tokens, and theirs."""


@dataclass(frozen=True)
class Request:
    """A prompt, and when to stop.

    Attributes:
        key: tells it from all others under way.
        prompt: token ids.
        max_tokens: the most new tokens.
        stops: a token of these is the last; it is put out too.
        held: so is one of these, once there is text.
        logprobs: how many of the likeliest tokens are told beside each new one, with their log-probabilities.
        sampler: how its tokens are drawn; None: the most likely ones are taken.
    """

    key: Hashable
    prompt: Sequence[int]
    max_tokens: int
    stops: frozenset[int] = frozenset()
    held: Held = NOTHING_HELD
    logprobs: int = 0
    sampler: Sampler | None = None


class Batching:
    """Decoding of requests that join and leave while others go on.

    ``submit`` and ``cancel`` may be called from any thread, all else from one.

    Attributes:
        slots: how many requests are under way at most.
        max_length: the most tokens of a prompt and its answer.
        vocabulary: tokens that the model knows.
        own_thread: whether the model is run in another thread than the one that calls ``step``.
        tells_logprobs: whether it can tell log-probabilities.
        likely: log-probabilities of the tokens that ``step`` has put out, of requests that ask for them; who reads it
            empties it.
    """

    own_thread = False
    tells_logprobs = False

    slots: int
    max_length: int
    vocabulary: int

    def __init__(self) -> None:
        self._submitted: deque[Request] = deque()
        self._cancelled: deque[Hashable] = deque()
        self.likely: list[Likely] = []

    def reserve(self, max_length: int) -> None:
        """Prepare for requests of so many tokens, prompt and answer."""
        raise NotImplementedError

    def submit(self, request: Request) -> None:
        """Hand a request over; its key must be its own.

        Raises:
            ValueError: it has no prompt, asks for no token, or is longer than what was reserved.
        """
        if not len(request.prompt) or request.max_tokens < 1:
            raise ValueError("A request has a prompt and asks for at least one token.")
        if len(request.prompt) + request.max_tokens > self.max_length:
            raise ValueError(f"Prompt and answer are at most {self.max_length} tokens.")
        self._submitted.append(request)

    def cancel(self, key: Hashable) -> None:
        """Forget a request; nothing more is heard of it."""
        self._cancelled.append(key)

    def step(self) -> list[Event]:
        """Go on, without waiting for a device; returns what has come out."""
        raise NotImplementedError

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        raise NotImplementedError

    @property
    def in_flight(self) -> bool:
        """Whether a device works on something whose end ``step`` will see."""
        return False

    @property
    def running(self) -> int:
        """Requests under way."""
        raise NotImplementedError

    @property
    def waiting(self) -> int:
        """Requests that wait for others to end."""
        raise NotImplementedError

    def observe(self, prompts: list[list[int]], new_tokens: int) -> Observation:
        """Answer these prompts together and return what was observed."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """Facts for the evidence; ``run`` holds counts of what was run, ``cache_tokens`` how many tokens fit."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop its background threads."""
