"""Requests as they come, by transformers' manager of requests."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from scripts.runtime.generation import Observation
from scripts.runtime.models import Loaded
from scripts.runtime.serving import LENGTH, STOP, Batching, Event, Request
from scripts.techniques.engine.transformers_continuous.loop import ContinuousEngine


@dataclass
class _Running:
    """A request, and how many of its tokens have been told."""

    request: Request
    told: int = 0


class ManagerBatching(Batching):
    """Greedy decoding by transformers' ``ContinuousBatchingManager``, which runs the model in a thread of its own.

    Args:
        loaded: the model, on its device, with the facets that change it already applied.
        slots: how many requests are under way at most.
        pad: the padding token.
    """

    own_thread = True

    def __init__(self, loaded: Loaded, *, slots: int, pad: int) -> None:
        super().__init__()
        self.engine = ContinuousEngine(loaded, slots=slots, pad=pad)
        self.slots, self.pad = slots, pad
        self.vocabulary = loaded.model.config.vocab_size
        self._names: dict[Hashable, str] = {}
        self._running: dict[str, _Running] = {}
        self._made = 0
        self._run = {"requests": 0, "prompt_tokens": 0, "new_tokens": 0}

    def reserve(self, max_length: int) -> None:
        """Reserve pages for so many tokens in every slot, and start the thread that runs the model."""
        self.max_length = max_length
        self.engine.reserve([[[self.pad] * (max_length - 1)]], 1)

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._submitted or self._running or self._cancelled)

    @property
    def running(self) -> int:
        """Requests in slots; the manager's queue is its own, so that they are at most as many as there are slots."""
        return min(len(self._running), self.slots)

    @property
    def waiting(self) -> int:
        """Requests without a slot."""
        return len(self._submitted) + len(self._running) - self.running

    def step(self) -> list[Event]:
        """Hand over what was submitted, and read what the thread has put out.

        Raises:
            RuntimeError: the thread has stopped.
        """
        manager = self.engine.manager
        while self._submitted:
            self._hand_over(self._submitted.popleft())
        while self._cancelled:
            name = self._names.pop(self._cancelled.popleft(), None)
            if name is not None:
                del self._running[name]
                manager.cancel_request(name)
        events: list[Event] = []
        while (out := manager.get_result(timeout=0)) is not None:
            if out.error is not None:
                raise self.engine.stopped(out.error)
            if out.request_id in self._running:
                self._read(out, events)
        if self._running and not events and not manager.is_running():
            raise self.engine.stopped(None)
        return events

    def _hand_over(self, request: Request) -> None:
        name = f"served-{self._made}"
        self._made += 1
        self.engine.held = request.held
        # Timestamps and limits go with each request.
        added = self.engine.manager.add_request(
            list(request.prompt), request_id=name, max_new_tokens=request.max_tokens, streaming=True,
            eos_token_id=sorted(request.stops) or -1,
        )  # fmt: skip
        if added is None:
            raise self.engine.stopped(None)
        self._names[request.key] = name
        self._running[name] = _Running(request)
        self._run["requests"] += 1
        self._run["prompt_tokens"] += len(request.prompt)

    def _read(self, out: Any, events: list[Event]) -> None:
        running = self._running[out.request_id]
        request, tokens = running.request, out.generated_tokens[running.told :]
        running.told += len(tokens)
        self._run["new_tokens"] += len(tokens)
        ended = out.is_finished() or running.told >= request.max_tokens or bool(tokens and tokens[-1] in request.stops)
        early = out.is_finished() and running.told < request.max_tokens
        for place, token in enumerate(tokens, start=1):
            last = ended and place == len(tokens)
            events.append((request.key, token, (STOP if early or token in request.stops else LENGTH) if last else None))
        if ended:
            del self._running[out.request_id]
            del self._names[request.key]

    def observe(self, prompts: list[list[int]], new_tokens: int) -> Observation:
        """Answer these prompts together, while nothing else is under way, and say what was run."""
        self.engine.limit(new_tokens, [])
        return self.engine.observe(prompts)

    def facts(self) -> dict[str, Any]:
        """Those of the loop, and what was run."""
        facts = self.engine.facts()
        return facts | {"cache_tokens": facts["pages"] * facts["page_tokens"], "run": dict(self._run)}

    def close(self) -> None:
        """Stop the thread."""
        self.engine.close()
