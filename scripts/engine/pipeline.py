"""Pipeline parallelism in the decode loop (GPipe; Huang et al., 2019): each stage works on another micro-batch.

A batch is cut into micro-batches, which go round: hidden states from stage to stage, and the tokens from the last stage
to all. Every stage launches the same graphs in the same order, and takes the same tokens in, so that all of
them leave a micro-batch at the same step without asking. Only the tokens decide, never how late a host looks.
"""

from __future__ import annotations

import time
from itertools import pairwise
from statistics import median
from typing import Any

import numpy
import torch

from scripts.engine.buckets import bucket
from scripts.engine.decoder import Decoder
from scripts.engine.engine import GraphEngine
from scripts.engine.flight import Flight, Watch, flight
from scripts.engine.graphs import Recorder
from scripts.engine.links import Links
from scripts.engine.micro_batch import MicroBatch, StageDecoder
from scripts.engine.tensor import stop_table
from scripts.runtime import finite
from scripts.runtime.generation import Generated, Observation
from scripts.runtime.models import Loaded
from scripts.runtime.stages import parts

# Micro-batches, unless told otherwise. More would fill the gap while one is handed on, but each of them reads all of a
# stage's weights at every step, which is most of a step's time unless the batch is very large.
A_STAGE = 1


class PipelineEngine(GraphEngine):
    """The decode loop of one stage.

    Args:
        loaded: this stage's part of the model.
        shared_prefix: read the tokens that all prompts begin with once, before the first request.
        pad: the token that fills a bucket; never seen by another.
        micro_batches: how many parts a batch is cut into, at most one a row; one a stage where it is None.
    """

    def __init__(self, loaded: Loaded, *, shared_prefix: bool, pad: int, micro_batches: int | None = None) -> None:
        super().__init__(loaded, shared_prefix=shared_prefix, pad=pad)
        self.links = Links(self.device)
        self.micro_batches = micro_batches or A_STAGE * self.links.size
        self.intake = Recorder(self.device)  # runs beside nothing, but must keep its memory from the stages' work
        self.batches: dict[int, list[MicroBatch]] = {}
        self._ends = numpy.zeros(0, dtype=bool)
        self._gap: float | None = None
        self._widest = 0

    def _decoder(self, positions: int) -> Decoder:
        links = self.links
        dtype = self.loaded.process.dtype
        return StageDecoder(self.loaded.model, positions, first=links.first, last=links.last, dtype=dtype)

    @torch.inference_mode()
    def reserve(self, batches: list[list[list[int]]], new_tokens: int) -> None:
        """Take the memory and record the work of those batches of prompts, with up to so many new tokens."""
        self._room = max(len(batch) for batch in batches) * bucket(max(len(p) for batch in batches for p in batch))
        self._passages: dict[str, torch.Tensor] = {}
        super().reserve(batches, new_tokens)

    def _read_once(self, tokens: torch.Tensor) -> None:
        """Fill the first row's cache on every stage: int64 [1, tokens]."""
        decoder, count = self.decoder, tokens.shape[1]
        if decoder.first:
            x = decoder.embed(tokens)
        else:
            x = torch.empty(count, decoder.width, dtype=decoder.dtype, device=self.device)
            self.links.receive(x, self._moment()).wait()
        x = decoder.prompt_from(x, self.cache.rows(0, 1), 1)
        if not decoder.last:
            self.links.send(x.contiguous()).wait()
        self._synchronise()

    def _moment(self) -> Any:
        if self.device.type != "cuda":
            return None
        event = torch.cuda.Event()
        event.record()
        return event

    def _session(self, rows: int) -> Any:
        """Recorded work of a batch size; ``reserve`` of what it returns records that of a bucket."""
        if rows not in self.batches:
            self.batches[rows] = [
                MicroBatch(
                    self.decoder, self.cache, part, self._steps + 1, self.recording, self.intake, len(self.prefix)
                )
                for part in parts(rows, self.micro_batches)
            ]
        return _Reserving(self, self.batches[rows])

    def passage(self, name: str, rows: range, width: int) -> torch.Tensor:
        """Where prompts' hidden states come in or go out, [rows * width, hidden]; all batches use the same memory."""
        needed = rows.stop * width
        if name not in self._passages or len(self._passages[name]) < needed:
            shape = (max(needed, self._room), self.decoder.width)
            # One that is too small is kept by the work that was recorded with it.
            self._passages[name] = torch.zeros(shape, dtype=self.decoder.dtype, device=self.device)
        return self._passages[name][rows.start * width : needed]

    @torch.inference_mode()
    def limit(self, new_tokens: int, stops: list[int]) -> None:
        """From now on stop after so many tokens, or at one of the stop tokens."""
        self._limit, self._stops = new_tokens, stops
        self._ends = stop_table(stops, self.decoder.vocabulary)

    @torch.inference_mode()
    def generate(self, prompts: list[list[int]], watch: Watch | None = None) -> Generated:
        """Generate a batch; returns when the last row has stopped."""
        width, batch = self._width(prompts), self.batches.get(len(prompts))
        if batch is None or not all(micro.has(width) for micro in batch):
            self.recorded_late += 1
            self._session(len(prompts)).reserve(width)
            batch = self.batches[len(prompts)]
        # Extra look-ahead steps would still write where the first tokens are waited for.
        self._synchronise()
        skipped = len(self.prefix)
        for micro in batch:
            micro.begin([prompts[row][skipped:] for row in micro.rows], width, self.pad)
        for step in range(self._limit):
            for number, micro in enumerate(batch):
                self._go_on(step, number, micro, watch)
            if all(micro.done for micro in batch):
                break
        for micro in batch:
            self._end(micro)
        return self._gathered(prompts, batch)

    def _go_on(self, step: int, number: int, micro: MicroBatch, watch: Watch | None) -> None:
        """The next graph launch of a micro-batch, unless all of its rows have stopped."""
        if micro.done:
            return
        if step:
            self._take(micro)
            known = step - 1 - self.ahead  # a token that is out while the device has other work
            if known >= 0:
                self._look(micro, known)
                if not micro.running.any():
                    micro.done = True
                    return
        pieces = micro.pieces()
        arriving = [
            None if piece.incoming is None else self.links.receive(piece.incoming, micro.free) for piece in pieces
        ]
        sent, micro.sending = micro.sending, []
        for transfer in sent:
            transfer.wait()  # of the step before: what is sent must not be written over
        for piece, arrival in zip(pieces, arriving, strict=True):
            if arrival is not None:
                arrival.wait()
            piece.work() if watch is None else watch.run(piece.work, number)
            if piece.outgoing is not None:
                micro.sending.append(self.links.send(piece.outgoing))
        micro.started += 1
        if micro.free is not None:
            micro.free.record()
        micro.sharing = self.links.share(micro.tokens)

    def _take(self, micro: MicroBatch) -> None:
        """Let the device wait for the newest tokens and take them in."""
        micro.sharing.wait()
        micro.sharing = None
        micro.take()

    def _look(self, micro: MicroBatch, token: int) -> None:
        """See a token of every row, and which of them stopped there."""
        self._wait(micro.state.seen, token)
        micro.running &= ~self._ends[micro.state.tokens_out[token]]
        micro.seen.append(time.perf_counter())

    def _end(self, micro: MicroBatch) -> None:
        """Take in what is still on its way, and see the last tokens."""
        if micro.sharing is not None:
            self._take(micro)
        for transfer in micro.sending:
            transfer.wait()
        while len(micro.seen) < micro.taken and micro.running.any():
            self._look(micro, len(micro.seen))

    def _gathered(self, prompts: list[list[int]], batch: list[MicroBatch]) -> Generated:
        """A token is seen when every micro-batch that goes so far has seen it."""
        steps = max(len(micro.seen) for micro in batch)
        moments = [max(micro.seen[step] for micro in batch if step < len(micro.seen)) for step in range(steps)]
        tokens: list[list[int]] = []
        for micro in batch:
            out = micro.state.tokens_out[: len(micro.seen)].T.tolist()
            tokens += [row + [self.pad] * (steps - len(row)) for row in out]
        self.cache.length = max(map(len, prompts)) + steps
        self._gap = median([after - before for before, after in pairwise(moments)]) if steps > 1 else None
        return Generated(moments, tokens)

    def observe(self, prompts: list[list[int]]) -> Observation:
        """Generate one batch and say what was run; then another, with every stage's work timed."""
        links = self.links
        before, sent, shared = links.calls.copy(), links.sent_bytes, links.token_bytes
        seen = super().observe(prompts)
        seen.collectives = dict(links.calls - before)
        self._sent = (links.sent_bytes - sent) / seen.new_tokens
        self._shared = (links.token_bytes - shared) / seen.new_tokens
        links.gathered(None)  # all begin together
        watch = Watch(self.device)
        self.generate(prompts, watch)
        self._synchronise()
        self.flight: Flight = flight(links.gathered(watch.intervals()))
        self._cut = [len(part) for part in parts(len(prompts), self.micro_batches)]
        seen.communication_share = self.flight.waiting[links.rank]
        return seen

    def _not_finite(self, prompts: list[list[int]], tokens: list[list[int]]) -> str | None:
        """By what this stage's layers were given: most of what is wrong in a stage is seen in the next layer."""
        return finite.of_cache(self.cache.layers)

    def forward_times(self) -> dict[str, float | None]:
        """Seconds between two tokens of the batch before: every micro-batch through every stage."""
        return {"target_forward_s": self._gap, "draft_forward_s": None}

    def facts(self) -> dict[str, Any]:
        """What this loop did, for the evidence."""
        facts = super().facts()
        facts["device_graphs"] += self.intake.graphs
        facts["preparation_s"] += self.intake.seconds
        return facts

    def parallel_facts(self) -> dict[str, Any]:
        """How full the pipeline was, for the evidence."""
        together = self.flight.in_flight
        turns = "layer sharding: with one micro-batch in flight the stages take turns"
        return {
            "micro_batches": self._cut,
            "micro_batches_in_flight": together,
            "stages_at_work": self.flight.busy,
            "kind": "pipeline" if together > 1 else turns,
            "bytes_sent_forward_per_step": self._sent,
            "token_bytes_sent_back_per_step": self._shared,
            "communication_measured": "share of a batch's time in which this stage waits",
        }


class _Reserving:
    """A batch size, as ``GraphEngine.reserve`` asks for it."""

    def __init__(self, engine: PipelineEngine, batch: list[MicroBatch]) -> None:
        self.engine, self.batch = engine, batch

    def reserve(self, width: int) -> None:
        """Record the work of a bucket on this stage."""
        decoder = self.engine.decoder
        for micro in self.batch:
            incoming = None if decoder.first else self.engine.passage("incoming", micro.rows, width)
            outgoing = None if decoder.last else self.engine.passage("outgoing", micro.rows, width)
            micro.reserve(width, incoming, outgoing)
