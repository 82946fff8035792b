"""Continuous batching of the graph engine: requests join and leave a batch that goes on.

The host keeps at most two launches under way and never waits for the device: each piece of work puts its tokens into
pinned memory, where the host finds them a launch later. Stop tokens and limits are the host's business alone, so that a
request may compute one token beyond its stop, which nobody reads.

Prompts that arrive while others are answered are read together with the others' next token, in one pass over the
weights (as Agrawal et al., 2023, arXiv:2308.16369, do, but without cutting prompts). Reading the weights is most of
what a step takes, so two passes in turn would take nearly twice as long. How long a request may wait for its first
token against how long those under way wait meanwhile is a policy: a pass reads at most ``prefill_tokens`` tokens of
prompts, or one prompt, if that is longer; such prefills and decode steps take turns.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy
import torch

from scripts.engine import family
from scripts.engine.cache import StaticCache, stored_dtype
from scripts.engine.decoder import Decoder
from scripts.engine.engine import CHECK_DEVICE_S
from scripts.engine.likeliest import Asking
from scripts.engine.shapes import SMALLEST_PROMPT, most_prompts
from scripts.engine.slots import Slots
from scripts.engine.stops import Stops
from scripts.runtime.errors import UnsupportedError
from scripts.runtime.generation import ContinuousBatchTrace, Observation
from scripts.runtime.models import Loaded
from scripts.runtime.serving import LENGTH, STOP, Batching, Event, Request
from scripts.runtime.stops import ENDS, follow

PREFILL_TOKENS = 2048
MOST_SLOTS = {"cuda": 256, "cpu": 16}
MEMORY_SHARE = 0.8  # of what is free, for the cache, where slots are chosen by memory
DRAWING_BYTES = 64  # of a token of the vocabulary: its logit, noise and place among the others, and copies of them
LAUNCHED = 2  # under way at most; a launch is a prefill, a decode step or both
Told = tuple[float, list[int], list[float]]  # a token's log-probability, the likeliest tokens, and theirs


@dataclass
class Counts:
    """What was run, for the evidence and for metrics. A mixed step counts as a prefill and as a decode step."""

    requests: int = 0
    prompt_tokens: int = 0
    new_tokens: int = 0
    prefills: int = 0
    prefill_tokens: int = 0  # with padding
    decode_steps: int = 0
    decode_rows: int = 0  # of requests
    decode_padded_rows: int = 0
    mixed_steps: int = 0


@dataclass
class _Work:
    """A launched piece: its number, and the request that each of its tokens belongs to."""

    number: int
    slots: numpy.ndarray  # int64 [n]
    serials: numpy.ndarray  # int64 [n]: the requests that held the slots as it was launched
    rows: numpy.ndarray | slice  # where their tokens are
    likely: dict[int, Told] | None = None  # by slot, of requests that ask for log-probabilities


class GraphBatching(Batching):
    """Decoding of requests as they come; each may be drawn in its own way where ``loaded`` has a sampler.

    Args:
        loaded: the model, on its device, with the facets that change it already applied.
        pad: the padding token; nothing attends to it.
        slots: how many requests are under way at most; by memory if None.
        prefill_tokens: the most tokens of prompts that are read in a pass.
    """

    tells_logprobs = True

    def __init__(
        self, loaded: Loaded, *, pad: int, slots: int | None = None, prefill_tokens: int = PREFILL_TOKENS
    ) -> None:
        super().__init__()
        self.loaded, self.pad, self.device = loaded, pad, loaded.process.device
        self.prefill_tokens = prefill_tokens
        self.asked_slots = slots
        self.counts = Counts()
        self._waiting: deque[Request] = deque()
        self._flight: deque[list[_Work]] = deque()
        self._held: dict[Hashable, int] = {}  # slots by request
        self._after_prefill = False
        self._quiet_since = time.perf_counter()
        self._given: list[list[int]] | None = None  # tokens of each sequence in each forward, while observed

    @torch.inference_mode()
    def reserve(self, max_length: int) -> None:
        """Allocate the cache for requests of so many tokens, prompt and answer, and capture every graph."""
        family.refuse_too_long(self.loaded.model.config, max_length)
        self.max_length = max_length
        decoder = Decoder(self.loaded.model, max_length)
        self.vocabulary = decoder.vocabulary
        self.slots = self.asked_slots or self._slots_by_memory(decoder)
        self.device_slots = Slots(
            decoder, self.slots, max_length, self.prefill_tokens, self.pad, self.loaded.sampler,
            stored_dtype(self.loaded.facets),
        )  # fmt: skip
        self.device_slots.reserve()
        count = self.slots
        self._keys: list[Hashable] = [None] * count
        self._serial = numpy.full(count, -1, dtype=numpy.int64)  # of the request in a slot; -1 without one
        self._left = numpy.zeros(count, dtype=numpy.int64)  # tokens still to launch
        self._unread = numpy.zeros(count, dtype=numpy.int64)  # tokens still to read
        self._stops_of = numpy.zeros(count, dtype=numpy.int64)
        self._stops = Stops(decoder.vocabulary)
        self._seen = numpy.zeros(count, dtype=numpy.int8)  # as runtime.stops.follow
        self._free = list(range(count))
        self._serials = 0
        self._asked = numpy.zeros(count, dtype=numpy.int64)  # how many of the likeliest tokens are told
        self._telling = 0  # requests under way that ask for log-probabilities

    def _slots_by_memory(self, decoder: Decoder) -> int:
        most = MOST_SLOTS[self.device.type]
        if self.device.type != "cuda":
            return most
        stored = stored_dtype(self.loaded.facets)
        row = StaticCache.row_bytes(len(decoder.layers), self.max_length, decoder.heads, decoder.dtype, stored)
        free = torch.cuda.mem_get_info(self.device)[0]
        # The captured graphs share room for their activations, the logits and what drawing makes of them among these.
        each = 8 if self.loaded.sampler is None else DRAWING_BYTES
        fit = int(free * MEMORY_SHARE - decoder.vocabulary * most * each) // row - 1
        if fit < 1:
            raise UnsupportedError(
                f"A request of {self.max_length} tokens takes {row / 1e9:.1f} GB of cache, and {free / 1e9:.1f} GB are "
                "free; lower the longest request."
            )
        return min(most, fit)

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._submitted or self._waiting or self._held or self._flight or self._cancelled)

    @property
    def in_flight(self) -> bool:
        """Whether the device has work."""
        return bool(self._flight)

    @property
    def running(self) -> int:
        """Requests in slots."""
        return len(self._held)

    @property
    def waiting(self) -> int:
        """Requests without a slot."""
        return len(self._waiting) + len(self._submitted)

    @torch.inference_mode()
    def step(self) -> list[Event]:
        """Read what is done and launch what there is room for, without waiting for the device."""
        self._receive()
        events = self._read()
        while len(self._flight) < LAUNCHED and self._launch():
            if self.device.type != "cuda":
                events += self._read()
                break
        if not events and self._flight:
            self._look_at_device()
        else:
            self._quiet_since = time.perf_counter()
        return events

    def _look_at_device(self) -> None:
        if time.perf_counter() - self._quiet_since > CHECK_DEVICE_S:
            torch.cuda.current_stream(self.device).query()  # raises the device's error
            self._quiet_since = time.perf_counter()

    def _receive(self) -> None:
        while self._submitted:
            self._waiting.append(self._submitted.popleft())
        gone = set()
        while self._cancelled:
            key = self._cancelled.popleft()
            if key in self._held:
                self._release(self._held[key])
            else:
                gone.add(key)
        if gone:
            self._waiting = deque(request for request in self._waiting if request.key not in gone)

    def _launch(self) -> bool:
        """Launch a prefill, a decode step or both in one; False where there is nothing to launch."""
        active = numpy.flatnonzero(self._left)
        mixes = self._waiting and self.device_slots.mixes(len(self._waiting[0].prompt))
        requests = self._next_prompts() if mixes or not (self._after_prefill and len(active)) else []
        if requests and len(active) and mixes:
            self._launch_mixed(requests, active)
            return True
        self._after_prefill = bool(requests)
        if requests:
            prompts, slots = self._take(requests)
            number, told = self._run(
                lambda: self.device_slots.prefill(prompts, slots, [request.sampler for request in requests]),
                lambda: (numpy.array(slots), numpy.arange(len(slots))),
            )
            self._flight.append([self._prefilling(number, slots, told)])
            self._count_prefill(prompts, self.device_slots.padded(sum(map(len, prompts)), len(prompts)))
            self._note([*map(len, prompts)])
        elif len(active):
            rows = int(active[-1]) + 1
            number, told = self._run(lambda: self.device_slots.decode(rows), lambda: (active, active))
            self._flight.append([self._decoding(number, active, told)])
            self._count_decode(active, rows)
            self._note([1] * len(active))
        return bool(requests) or len(active) > 0

    def _launch_mixed(self, requests: list[Request], active: numpy.ndarray) -> None:
        rows = int(active[-1]) + 1
        prompts, slots = self._take(requests)
        total = sum(map(len, prompts))
        padded = (rows, total)
        if self.device_slots.captures:
            padded = self.device_slots.mixed_shape(rows, total, len(prompts))
        # The slots that were just taken are none of the active ones.
        (decode, prefill), told = self._run(
            lambda: self.device_slots.mix(rows, prompts, slots, [request.sampler for request in requests]),
            lambda: (
                numpy.concatenate([active, slots]),
                numpy.concatenate([active, padded[0] + numpy.arange(len(slots))]),
            ),
        )
        self._flight.append([self._decoding(decode, active, told), self._prefilling(prefill, slots, told)])
        self._count_decode(active, padded[0])
        self._count_prefill(prompts, padded[1])
        self.counts.mixed_steps += 1
        self._note([1] * len(active) + [*map(len, prompts)])

    def _note(self, lengths: list[int]) -> None:
        """Note the tokens of each sequence in a forward, while observed."""
        if self._given is not None:
            self._given.append(lengths)

    def _run(
        self, launch: Callable[[], Any], where: Callable[[], tuple[numpy.ndarray, numpy.ndarray]]
    ) -> tuple[Any, dict[int, Told] | None]:
        """Launch work; where a request in one of its slots asks for log-probabilities, with those, by slot.

        ``where`` says which slots it has, and where their tokens are among those that it chooses.
        """
        if not self._telling:
            return launch(), None
        slots, rows = where()
        asked = self._asked[slots]
        asking = asked > 0
        if not asking.any():
            return launch(), None
        number, told = self.device_slots.telling(launch, Asking(rows[asking], int(asked.max())))
        counts, chosen = asked[asking].tolist(), told.chosen.tolist()
        entries = zip(slots[asking].tolist(), counts, chosen, told.tokens.tolist(), told.values.tolist(), strict=True)
        return number, {slot: (own, tokens[:count], values[:count]) for slot, count, own, tokens, values in entries}

    def _decoding(self, number: int, active: numpy.ndarray, told: dict[int, Told] | None) -> _Work:
        self._left[active] -= 1
        return _Work(number, active, self._serial[active], active, told)

    def _count_decode(self, active: numpy.ndarray, padded: int) -> None:
        self.counts.decode_steps += 1
        self.counts.decode_rows += len(active)
        self.counts.decode_padded_rows += padded

    def _take(self, requests: list[Request]) -> tuple[list[numpy.ndarray], list[int]]:
        """Give each request a slot; returns their prompts and slots."""
        slots = [heapq.heappop(self._free) for _ in requests]
        for request, slot in zip(requests, slots, strict=True):
            self._keys[slot] = request.key
            self._held[request.key] = slot
            self._serial[slot] = self._serials
            self._serials += 1
            self._left[slot] = request.max_tokens - 1
            self._unread[slot] = request.max_tokens
            self._stops_of[slot] = self._stops.take(request.stops, request.held)
            self._seen[slot] = 0
            self._asked[slot] = request.logprobs
            self._telling += request.logprobs > 0
        return [numpy.asarray(request.prompt, dtype=numpy.int64) for request in requests], slots

    def _prefilling(self, number: int, slots: list[int], told: dict[int, Told] | None) -> _Work:
        taken = numpy.array(slots)
        return _Work(number, taken, self._serial[taken], slice(len(slots)), told)

    def _count_prefill(self, prompts: list[numpy.ndarray], padded: int) -> None:
        counts = self.counts
        counts.prefills += 1
        counts.prompt_tokens += sum(map(len, prompts))
        counts.prefill_tokens += padded
        counts.requests += len(prompts)

    def _next_prompts(self) -> list[Request]:
        """Those that have waited longest, as many as one prefill takes."""
        taken, total = [], 0
        most = min(len(self._free), most_prompts(self.prefill_tokens))
        while self._waiting and len(taken) < most:
            length = len(self._waiting[0].prompt)
            if taken and max(total + length, (len(taken) + 1) * SMALLEST_PROMPT) > self.prefill_tokens:
                break
            taken.append(self._waiting.popleft())
            total += length
        return taken

    def _read(self) -> list[Event]:
        """The tokens of all work that is done."""
        events: list[Event] = []
        while self._flight and self.device_slots.is_done(self._flight[0][-1].number):
            for work in self._flight.popleft():
                self._read_one(work, events)
        return events

    def _read_one(self, work: _Work, events: list[Event]) -> None:
        slots, tokens = work.slots, self.device_slots.tokens(work.number)[work.rows]
        current = self._serial[slots] == work.serials
        if not current.all():  # ended by a stop token, or cancelled, after this was launched
            slots, tokens = slots[current], tokens[current]
        self._unread[slots] -= 1
        self._seen[slots] = follow(self._seen[slots], self._stops.table[self._stops_of[slots], tokens])
        stopped = (self._seen[slots] & ENDS) != 0
        ended = stopped | (self._unread[slots] == 0)
        keys = self._keys
        if work.likely:
            self.likely += [(keys[slot], *work.likely[slot]) for slot in slots.tolist() if slot in work.likely]
        self.counts.new_tokens += len(slots)
        if not ended.any():
            events += [(keys[slot], token, None) for slot, token in zip(slots.tolist(), tokens.tolist(), strict=True)]
            return
        for slot, token, end, stop in zip(
            slots.tolist(), tokens.tolist(), ended.tolist(), stopped.tolist(), strict=True
        ):
            events.append((keys[slot], token, (STOP if stop else LENGTH) if end else None))
            if end:
                self._release(slot)

    def _release(self, slot: int) -> None:
        """Free a slot; work that is under way for it is not read."""
        del self._held[self._keys[slot]]
        self._keys[slot] = None
        self._serial[slot] = -1
        self._left[slot] = 0
        self._telling -= int(self._asked[slot] > 0)
        self._asked[slot] = 0
        self._stops.used[self._stops_of[slot]] -= 1
        heapq.heappush(self._free, slot)
        self.device_slots.forget(slot)

    def run(self) -> Iterator[list[Event]]:
        """Step until nothing is left to do; yields what each step that put out tokens did."""
        while self.busy:
            events = self.step()
            if events:
                yield events

    def observe(self, prompts: list[list[int]], new_tokens: int) -> Observation:
        """Answer these prompts together, with so many tokens each, and say what was run."""
        self._given = []
        for number, prompt in enumerate(prompts):
            self.submit(Request(("observed", number), prompt, new_tokens))
        tokens: list[list[int]] = [[] for _ in prompts]
        for events in self.run():
            for (_, number), token, _ in events:
                tokens[number].append(token)
        given, self._given = self._given, None
        self.device_slots.cache.length = max(map(len, prompts)) + new_tokens
        slots = self.device_slots
        return Observation(
            prompt_tokens=max(map(len, prompts)),
            new_tokens=new_tokens,
            requests=len(prompts),
            prompt_lengths=[len(prompt) for prompt in prompts],
            forward_lengths=[max(lengths) for lengths in given],
            forward_rows=[len(lengths) for lengths in given],
            padded_left=False,
            cache=slots.cache,
            collectives={},
            communication_share=0.0,
            trace=ContinuousBatchTrace(self.slots, given, list(map(len, tokens))),
            not_finite=slots.decoder.not_finite(prompts, tokens, slots.cache.rows(self.slots, 1)),
        )

    def facts(self) -> dict[str, Any]:
        """What this loop did, for the evidence."""
        slots = self.device_slots
        return {
            "slots": self.slots,
            "cache_positions": slots.cache.positions,
            "cache_dtype": slots.cache.stored_as,
            "cache_tokens": self.slots * slots.cache.positions,
            "prefill_tokens_at_once": self.prefill_tokens,
            "device_graphs": slots.pool.graphs,
            "preparation_s": slots.pool.seconds,
            "recorded_while_timed": slots.captured_late,
            "prefix_tokens": 0,
            "device_allocations_per_batch": None,
            "run": asdict(self.counts),
        } | slots.decoder.facts()
