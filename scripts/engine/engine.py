"""The decode loop: each step is launched before the one before it has ended, without host-device synchronisation.

With CUDA graphs a step costs the host one call; so the device never waits for Python, which is what bounds a small
model under ``generate``. The host launches one step ahead of the tokens that it has seen: after the last token of a
request at most one extra look-ahead step is computed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy
import torch

from scripts.engine import family
from scripts.engine.buckets import bucket
from scripts.engine.cache import StaticCache, stored_dtype
from scripts.engine.decoder import Decoder
from scripts.engine.graphs import GraphPool, Replay
from scripts.engine.session import Session
from scripts.engine.state import ROWS_STOPPED, TOKENS_OUT
from scripts.runtime.generation import Generated, Generator, Observation
from scripts.runtime.models import Loaded
from scripts.runtime.prefixes import common_prefix
from scripts.runtime.stop_texts import Rows, StopTexts
from scripts.runtime.stops import ENDS, NOTHING_HELD, Held, Stops, codes, follow

REPETITIONS = 20  # of a graph that is timed by itself
CHECK_DEVICE_S = 1.0  # without progress for so long, look whether the device has failed


class GraphEngine(Generator):
    """Decoding of batches of prompts: of the most likely tokens, or of drawn ones where ``loaded`` has a sampler.

    Args:
        loaded: the model, on its device, with the facets that change it already applied.
        shared_prefix: prefill the tokens that all prompts begin with once, before the first request.
        pad: the padding token; nothing attends to it.
    """

    beyond = 1  # positions behind the last token: an extra look-ahead step

    def __init__(self, loaded: Loaded, *, shared_prefix: bool, pad: int) -> None:
        self.loaded, self.pad, self.shared_prefix = loaded, pad, shared_prefix
        self.device = loaded.process.device
        self.graph_pool = GraphPool(self.device)
        self.sessions: dict[int, Session] = {}
        self.prefix: list[int] = []
        self.captured_late = 0
        self.observed_allocations: int | None = None  # until a batch was observed
        self.ahead = 1 if self.device.type == "cuda" else 0
        self._stops: list[int] = []
        self._held = NOTHING_HELD
        self._texts: StopTexts | None = None
        self._limit = 0
        self._extra_step = False

    @torch.inference_mode()
    def reserve(self, batches: list[list[list[int]]], new_tokens: int) -> None:
        """Allocate the KV cache and capture the graphs for those batches of prompts, with up to so many new tokens."""
        prompts = [prompt for batch in batches for prompt in batch]
        if self.shared_prefix:
            self.prefix = common_prefix(prompts)
        rows = max(len(batch) for batch in batches)
        longest = max(len(prompt) for prompt in prompts)
        # Padding may reach beyond the longest prompt.
        positions = max(len(self.prefix) + bucket(longest - len(self.prefix)), longest) + new_tokens + self.beyond
        family.refuse_too_long(self.loaded.model.config, longest + new_tokens)
        self.decoder = self._decoder(positions)
        self.cache = StaticCache(
            len(self.decoder.layers), rows, positions, self.decoder.heads, self.decoder.dtype, self.device,
            stored_dtype(self.loaded.facets),
        )  # fmt: skip
        self._steps = new_tokens
        self._fill_prefix(rows)
        for batch in batches:
            self._session(len(batch)).reserve(self._width(batch))

    def _decoder(self, positions: int) -> Decoder:
        return Decoder(self.loaded.model, positions)

    def _fill_prefix(self, rows: int) -> None:
        """Fill every row's first positions with the shared prefix; no request writes there."""
        if not self.prefix:
            return
        self._prefill_prefix(torch.tensor([self.prefix], device=self.device))
        filled = slice(0, len(self.prefix))
        for layer in self.cache.layers:
            for cached in layer.tensors:
                cached[1:rows, :, filled] = cached[:1, :, filled]

    def _prefill_prefix(self, tokens: torch.Tensor) -> None:
        """Prefill the first row's cache: int64 [1, tokens]."""
        self.decoder.prefill(tokens, self.cache.rows(0, 1))

    def _session(self, rows: int) -> Session:
        if rows not in self.sessions:
            self.sessions[rows] = Session(
                self.decoder, self.cache, rows, self._steps + 1, self.graph_pool, len(self.prefix), self.loaded.sampler
            )
        return self.sessions[rows]

    def keys(self, prompts: list[list[int]]) -> list[int] | None:
        """Of the noise that the answers to these whole prompts are drawn with; None where nothing is drawn."""
        return None if self.loaded.sampler is None else self.loaded.sampler.keys(prompts)

    def _width(self, batch: list[list[int]]) -> int:
        return bucket(max(len(prompt) for prompt in batch) - len(self.prefix))

    @torch.inference_mode()
    def limit(
        self, new_tokens: int, stops: list[int], held: Held = NOTHING_HELD, texts: StopTexts | None = None
    ) -> None:
        """From now on stop after so many tokens, at a stop token, at one held behind text, or at a text."""
        self._limit, self._stops, self._held, self._texts = new_tokens, stops, held, texts
        self._ending = Stops([*stops, *held.tokens], set(), held, texts)
        if not self.sessions:
            return
        table = torch.from_numpy(codes(stops, held, self.decoder.vocabulary)).to(self.device)
        for session in self.sessions.values():
            session.state.is_stop.copy_(table)

    @torch.inference_mode()
    def generate(self, prompts: list[list[int]]) -> Generated:
        """Generate a batch; returns when the last row has stopped."""
        session, width = self.sessions.get(len(prompts)), self._width(prompts)
        if session is None or not session.has(width):
            self.captured_late += 1
            session = self._session(len(prompts))
            session.reserve(width)
            self.limit(self._limit, self._stops, self._held, self._texts)
        if self._extra_step:
            # An extra look-ahead step may still write to the tensors that the host polls.
            self._synchronise()
        skipped = len(self.prefix)
        given = [prompt[skipped:] for prompt in prompts] if skipped else prompts
        session.begin(given, width, self.pad, self.keys(prompts))
        moments = self._follow(session)
        tokens = session.state.host_tokens[: len(moments)].T.tolist()
        self.cache.length = max(map(len, prompts)) + len(moments)
        return Generated(moments, tokens)

    def _follow(self, session: Session) -> list[float]:
        """Launch steps until every row has stopped or is long enough; returns when the host saw each token."""
        progress, rows, limit = session.state.host_progress, session.rows, self._limit
        moments: list[float] = []
        launched = 1
        following = None if self._texts is None else self._following(session)
        while len(moments) < limit:
            while launched < limit and launched <= len(moments) + self.ahead:
                session.step()
                launched += 1
            self._wait(progress, len(moments))
            # In this order: rows that stop later than the tokens read here are seen the next time.
            stopped, out = int(progress[ROWS_STOPPED]), int(progress[TOKENS_OUT])
            before = len(moments)
            moments += [time.perf_counter()] * (out - before)
            if stopped == rows or (following is not None and following(before, len(moments))):
                break
        self._extra_step = launched > len(moments)
        return moments

    def _following(self, session: Session) -> Callable[[int, int], bool]:
        """Whether every row has ended, asked with the tokens from one to before another: the device knows no texts."""
        table = codes(self._stops, self._held, self.decoder.vocabulary)
        seen, texts = numpy.zeros(session.rows, dtype=numpy.int8), Rows(self._texts, session.rows)

        def all_ended(first: int, last: int) -> bool:
            for token in session.state.host_tokens[first:last]:
                seen[:] = follow(seen, table[token])
                texts.mark(seen, token)
            return bool((seen & ENDS).all())

        return all_ended

    def _wait(self, progress: Any, known: int) -> None:
        """Poll pinned memory until more than ``known`` tokens are out."""
        check = time.perf_counter() + CHECK_DEVICE_S
        while progress[TOKENS_OUT] <= known:
            if time.perf_counter() > check:
                torch.cuda.current_stream(self.device).query()  # raises the device's error
                check = time.perf_counter() + CHECK_DEVICE_S

    def observe(self, prompts: list[list[int]]) -> Observation:
        """Generate one batch and say what was run; the loop knows it, and there is no call to hook into."""
        allocations = self._allocations()
        out = self.generate(prompts)
        self.observed_allocations = self._allocations() - allocations
        not_finite = self._not_finite(prompts, out.tokens)
        width, steps = self._width(prompts), len(out.moments)
        return Observation(
            prompt_tokens=max(map(len, prompts)),
            new_tokens=steps,
            requests=len(prompts),
            prompt_lengths=[len(prompt) for prompt in prompts],
            forward_lengths=[width] + [1] * (steps - 1),
            forward_rows=[len(prompts)] * steps,
            padded_left=False,
            cache=self.cache,
            collectives={},
            communication_share=0.0,
            not_finite=not_finite,
        )

    def _not_finite(self, prompts: list[list[int]], tokens: list[list[int]]) -> str | None:
        """Where logits are not finite, in words."""
        return self.decoder.not_finite(prompts, tokens, self.cache.rows(0, 1))

    def _allocations(self) -> int:
        if self.device.type != "cuda":
            return 0
        return torch.cuda.memory_stats(self.device).get("allocation.all.allocated", 0)

    @torch.inference_mode()
    def forward_times(self) -> dict[str, float | None]:
        """Seconds of one decode step of the largest batch."""
        session = self.sessions[max(self.sessions)]
        return {"target_forward_s": self._step_s(session, session.step), "draft_forward_s": None}

    def _step_s(self, session: Session, step: Replay) -> float:
        """Seconds of a decode step at the end of the last request."""

        def rewind() -> None:
            session.state.positions.fill_(self.cache.length - 1)
            session.state.step.zero_()

        return self._typical(step, rewind)

    def _typical(self, work: Replay, before: Replay = lambda: None) -> float:
        """Median seconds of a captured graph, the device idle before and after."""
        times = []
        for _ in range(REPETITIONS):
            before()
            self._synchronise()
            began = time.perf_counter()
            work()
            self._synchronise()
            times.append(time.perf_counter() - began)
        return median(times)

    def _synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def facts(self) -> dict[str, Any]:
        """What this loop did, for the evidence."""
        return {
            "device_graphs": self.graph_pool.graphs,
            "recorded_while_timed": self.captured_late,
            "device_allocations_per_batch": self.observed_allocations,
            "preparation_s": self.graph_pool.seconds,
            "prefix_tokens": len(self.prefix),
            "cache_positions": self.cache.positions,
            "cache_dtype": self.cache.stored_as,
        } | self.decoder.facts(len(self.prefix))
