"""Pipeline parallelism in the decode loop (GPipe; Huang et al., 2019): each stage works on another micro-batch.

Hidden states go from stage to stage, and tokens from the last stage to all. Every stage launches the same graphs in the
same order and takes the same tokens in, so that all leave a micro-batch at the same step without agreeing on it: the
tokens alone decide, never when a host polls.
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
from scripts.engine.graphs import GraphPool
from scripts.engine.links import StageLinks
from scripts.engine.micro_batch import MicroBatch, StageDecoder
from scripts.engine.occupancy import Occupancy, StageTimer, occupancy
from scripts.runtime import finite
from scripts.runtime.generation import Generated, Observation
from scripts.runtime.models import Loaded
from scripts.runtime.stages import micro_batches
from scripts.runtime.stop_texts import Rows, StopTexts
from scripts.runtime.stops import NOTHING_HELD, Held, codes, follow

# By default. More would fill the bubble during transfers, but each micro-batch reads all of a stage's weights at every
# step, which is most of a step's time unless the batch is very large.
MICRO_BATCHES_PER_STAGE = 1


class PipelineEngine(GraphEngine):
    """The decode loop of one stage.

    Args:
        loaded: this stage's part of the model.
        shared_prefix: prefill the tokens that all prompts begin with once, before the first request.
        pad: the padding token; nothing attends to it.
        micro_batches: of a batch, at most one a row; one a stage where it is None.
    """

    def __init__(self, loaded: Loaded, *, shared_prefix: bool, pad: int, micro_batches: int | None = None) -> None:
        super().__init__(loaded, shared_prefix=shared_prefix, pad=pad)
        self.links = StageLinks(self.device)
        self.micro_batches = micro_batches or MICRO_BATCHES_PER_STAGE * self.links.size
        self.intake_pool = GraphPool(self.device)  # a pool of its own, so that it keeps its memory
        self.batches: dict[int, list[MicroBatch]] = {}
        self._codes = numpy.zeros(0, dtype=numpy.int8)
        self._token_interval_s: float | None = None

    def _decoder(self, positions: int) -> Decoder:
        links = self.links
        dtype = self.loaded.process.dtype
        return StageDecoder(self.loaded.model, positions, first=links.first, last=links.last, dtype=dtype)

    @torch.inference_mode()
    def reserve(self, batches: list[list[list[int]]], new_tokens: int) -> None:
        """Allocate the KV cache and capture the graphs for those batches of prompts, with up to so many new tokens."""
        longest = max(len(prompt) for batch in batches for prompt in batch)
        self._max_prompt_tokens = max(map(len, batches)) * bucket(longest)
        self._hidden_buffers: dict[str, torch.Tensor] = {}
        super().reserve(batches, new_tokens)

    def _prefill_prefix(self, tokens: torch.Tensor) -> None:
        """Prefill the first row's cache on every stage: int64 [1, tokens]."""
        decoder, count = self.decoder, tokens.shape[1]
        if decoder.first:
            x = decoder.embed(tokens)
        else:
            x = torch.empty(count, decoder.width, dtype=decoder.dtype, device=self.device)
            self.links.receive(x, self._event()).wait()
        x = decoder.prefill_hidden(x, self.cache.rows(0, 1), 1)
        if not decoder.last:
            self.links.send(x.contiguous()).wait()
        self._synchronise()

    def _event(self) -> Any:
        if self.device.type != "cuda":
            return None
        event = torch.cuda.Event()
        event.record()
        return event

    def _session(self, rows: int) -> Any:
        """The micro-batches of a batch size; ``reserve`` of what it returns captures a bucket's graphs."""
        if rows not in self.batches:
            self.batches[rows] = [
                MicroBatch(
                    self.decoder,
                    self.cache,
                    part,
                    self._steps + 1,
                    self.graph_pool,
                    self.intake_pool,
                    len(self.prefix),
                    self.loaded.sampler,
                )
                for part in micro_batches(rows, self.micro_batches)
            ]
        return _Reserving(self, self.batches[rows])

    def hidden_buffer(self, name: str, rows: range, width: int) -> torch.Tensor:
        """The buffer of a prefill's hidden states, [rows * width, hidden]; all batch sizes share its memory."""
        needed = rows.stop * width
        if name not in self._hidden_buffers or len(self._hidden_buffers[name]) < needed:
            shape = (max(needed, self._max_prompt_tokens), self.decoder.width)
            # One that is too small is kept by the graphs that were captured with it.
            self._hidden_buffers[name] = torch.zeros(shape, dtype=self.decoder.dtype, device=self.device)
        return self._hidden_buffers[name][rows.start * width : needed]

    @torch.inference_mode()
    def limit(
        self, new_tokens: int, stops: list[int], held: Held = NOTHING_HELD, texts: StopTexts | None = None
    ) -> None:
        """From now on stop after so many tokens, at a stop token, at one held behind text, or at a text."""
        self._limit, self._stops, self._texts = new_tokens, stops, texts
        self._codes = codes(stops, held, self.decoder.vocabulary)

    @torch.inference_mode()
    def generate(self, prompts: list[list[int]], timer: StageTimer | None = None) -> Generated:
        """Generate a batch; returns when the last row has stopped."""
        width, batch = self._width(prompts), self.batches.get(len(prompts))
        if batch is None or not all(micro.has(width) for micro in batch):
            self.captured_late += 1
            self._session(len(prompts)).reserve(width)
            batch = self.batches[len(prompts)]
        # Extra look-ahead steps may still write to the tensors that the host polls.
        self._synchronise()
        skipped = len(self.prefix)
        for micro in batch:
            whole = [prompts[row] for row in micro.rows]
            micro.begin([prompt[skipped:] for prompt in whole], width, self.pad, self.keys(whole))
            micro.texts = Rows(self._texts, len(micro.rows))
        for step in range(self._limit):
            for number, micro in enumerate(batch):
                self._launch_next(step, number, micro, timer)
            if all(micro.done for micro in batch):
                break
        for micro in batch:
            self._drain(micro)
        return self._generated(prompts, batch)

    def _launch_next(self, step: int, number: int, micro: MicroBatch, timer: StageTimer | None) -> None:
        """The next graph launch of a micro-batch, unless all of its rows have stopped."""
        if micro.done:
            return
        if step:
            self._take(micro)
            known = step - 1 - self.ahead  # its token is out while the device has other work
            if known >= 0:
                self._see_token(micro, known)
                if not micro.running.any():
                    micro.done = True
                    return
        graphs = micro.graphs()
        arriving = [
            None if graph.incoming is None else self.links.receive(graph.incoming, micro.incoming_free)
            for graph in graphs
        ]
        sent, micro.sending = micro.sending, []
        for transfer in sent:
            transfer.wait()  # of the step before, whose buffers are about to be overwritten
        for graph, arrival in zip(graphs, arriving, strict=True):
            if arrival is not None:
                arrival.wait()
            graph.replay() if timer is None else timer.run(graph.replay, number)
            if graph.outgoing is not None:
                micro.sending.append(self.links.send(graph.outgoing))
        micro.started += 1
        if micro.incoming_free is not None:
            micro.incoming_free.record()
        micro.sharing = self.links.broadcast_tokens(micro.tokens)

    def _take(self, micro: MicroBatch) -> None:
        """Let the device wait for the newest tokens and update the state."""
        micro.sharing.wait()
        micro.sharing = None
        micro.take_tokens()

    def _see_token(self, micro: MicroBatch, token: int) -> None:
        """Wait for a token of every row, and see which rows stopped there."""
        self._wait(micro.state.host_progress, token)
        micro.seen = follow(micro.seen, self._codes[micro.state.host_tokens[token]])
        micro.texts.mark(micro.seen, micro.state.host_tokens[token])
        micro.moments.append(time.perf_counter())

    def _drain(self, micro: MicroBatch) -> None:
        """Finish the transfers in flight, and see the last tokens."""
        if micro.sharing is not None:
            self._take(micro)
        for transfer in micro.sending:
            transfer.wait()
        while len(micro.moments) < micro.taken and micro.running.any():
            self._see_token(micro, len(micro.moments))

    def _generated(self, prompts: list[list[int]], batch: list[MicroBatch]) -> Generated:
        """A token is seen when every micro-batch that goes so far has seen it."""
        steps = max(len(micro.moments) for micro in batch)
        moments = [max(micro.moments[step] for micro in batch if step < len(micro.moments)) for step in range(steps)]
        tokens: list[list[int]] = []
        for micro in batch:
            out = micro.state.host_tokens[: len(micro.moments)].T.tolist()
            tokens += [row + [self.pad] * (steps - len(row)) for row in out]
        self.cache.length = max(map(len, prompts)) + steps
        self._token_interval_s = median([after - before for before, after in pairwise(moments)]) if steps > 1 else None
        return Generated(moments, tokens)

    def observe(self, prompts: list[list[int]]) -> Observation:
        """Generate one batch and say what was run; then another, with every stage's graphs timed."""
        links = self.links
        before, sent, shared = links.calls.copy(), links.sent_bytes, links.token_bytes
        seen = super().observe(prompts)
        seen.collectives = dict(links.calls - before)
        self._sent_bytes = (links.sent_bytes - sent) / seen.new_tokens
        self._token_bytes = (links.token_bytes - shared) / seen.new_tokens
        links.gather(None)  # all begin together
        timer = StageTimer(self.device)
        self.generate(prompts, timer)
        self._synchronise()
        self.occupancy: Occupancy = occupancy(links.gather(timer.intervals()))
        self._micro_batch_sizes = [len(part) for part in micro_batches(len(prompts), self.micro_batches)]
        seen.communication_share = self.occupancy.waiting[links.rank]
        return seen

    def _not_finite(self, prompts: list[list[int]], tokens: list[list[int]]) -> str | None:
        """By the keys and values of this stage: a layer that goes wrong shows in the next layer's."""
        return finite.of_cache(self.cache.layers)

    def forward_times(self) -> dict[str, float | None]:
        """Seconds between two tokens of the batch before: every micro-batch through every stage."""
        return {"target_forward_s": self._token_interval_s, "draft_forward_s": None}

    def facts(self) -> dict[str, Any]:
        """What this loop did, for the evidence."""
        facts = super().facts()
        facts["device_graphs"] += self.intake_pool.graphs
        facts["preparation_s"] += self.intake_pool.seconds
        return facts

    def parallel_facts(self) -> dict[str, Any]:
        """How full the pipeline was, for the evidence."""
        together = self.occupancy.in_flight
        turns = "layer sharding: with one micro-batch in flight the stages take turns"
        return {
            "micro_batches": self._micro_batch_sizes,
            "micro_batches_in_flight": together,
            "stages_at_work": self.occupancy.busy,
            "kind": "pipeline" if together > 1 else turns,
            "bytes_sent_forward_per_step": self._sent_bytes,
            "token_bytes_sent_back_per_step": self._token_bytes,
            "communication_measured": "share of a batch's time in which this stage waits",
        }


class _Reserving:
    """A batch size as ``GraphEngine.reserve`` expects it."""

    def __init__(self, engine: PipelineEngine, batch: list[MicroBatch]) -> None:
        self.engine, self.batch = engine, batch

    def reserve(self, width: int) -> None:
        """Capture a bucket's graphs on this stage."""
        decoder = self.engine.decoder
        for micro in self.batch:
            incoming = None if decoder.first else self.engine.hidden_buffer("incoming", micro.rows, width)
            outgoing = None if decoder.last else self.engine.hidden_buffer("outgoing", micro.rows, width)
            micro.reserve(width, incoming, outgoing)
