"""One micro-batch on one pipeline stage: its rows of the KV cache, its buffers and its captured graphs."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy
import torch

from scripts.engine.buckets import pad_right
from scripts.engine.cache import StaticCache
from scripts.engine.decoder import Decoder
from scripts.engine.draws import BatchDraws
from scripts.engine.graphs import GraphPool, Replay
from scripts.engine.state import State
from scripts.runtime.drawing import Sampler
from scripts.runtime.stages import micro_batches
from scripts.runtime.stop_texts import Rows
from scripts.runtime.stops import ENDS

# A prefill's hidden states are sent on in chunks of rows, so that the next stage soon has something to do.
CHUNKS, MIN_CHUNK_TOKENS, MAX_CHUNK_TOKENS = 4, 1024, 8192


class StageDecoder(Decoder):
    """The layers of one stage; the first has the embedding, the last the norm and the output head.

    Args:
        model: of which transformers loaded one stage.
        positions: how many positions the rotary tables cover.
        first: whether this is the first stage.
        last: whether this is the last stage.
        dtype: dtype of hidden states.
    """

    def __init__(self, model: Any, positions: int, *, first: bool, last: bool, dtype: torch.dtype) -> None:
        self.first, self.last, self._dtype = first, last, dtype
        self._vocabulary, self.width = model.config.vocab_size, model.config.hidden_size
        super().__init__(model, positions)

    def _take_ends(self, model: Any) -> None:
        self.take_embedding(model) if self.first else None
        self.take_head(model) if self.last else None

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of activations and cache."""
        return self._dtype

    @property
    def vocabulary(self) -> int:
        """Size of the vocabulary."""
        return self._vocabulary


class MicroBatch:
    """Some rows of a batch; every stage keeps the same state, so that all know when they have stopped.

    Args:
        decoder: this stage's layers.
        cache: of this stage.
        rows: which rows of the batch, and of the cache.
        steps: the most new tokens.
        graph_pool: captures the stage's graphs.
        intake_pool: captures the graphs that take tokens in.
        prefix: tokens that every prompt begins with, whose keys and values the cache already holds.
        sampler: how the last stage draws tokens; None: it takes the most likely ones.

    Attributes:
        state: tokens, positions and stops, the same on all stages.
        tokens: int64 [rows]: the newest tokens, broadcast by the last stage.
        incoming: hidden states of a decode step from the stage before, [rows, hidden].
        outgoing: those for the next stage.
        seen: what the host saw of each row, as ``scripts.runtime.stops.follow`` has it.
        texts: finds the texts that end rows.
        moments: when the host saw each token.
    """

    def __init__(
        self, decoder: StageDecoder, cache: StaticCache, rows: range, steps: int, graph_pool: GraphPool,
        intake_pool: GraphPool, prefix: int, sampler: Sampler | None = None,
    ) -> None:  # fmt: skip
        self.decoder, self.cache, self.rows, self.prefix = decoder, cache, rows, prefix
        self.graph_pool, self.intake_pool = graph_pool, intake_pool
        device = decoder.device
        self.state = State.empty(len(rows), steps, decoder.vocabulary, device)
        self.draws = BatchDraws(sampler if decoder.last else None, len(rows), device)
        self.tokens = torch.zeros(len(rows), dtype=torch.int64, device=device)
        shape = (len(rows), decoder.width)
        self.incoming = None if decoder.first else torch.zeros(shape, dtype=decoder.dtype, device=device)
        self.outgoing = None if decoder.last else torch.zeros(shape, dtype=decoder.dtype, device=device)
        self._layers = cache.rows(rows.start, len(rows))
        self._prompts: dict[int, PrefillGraphs] = {}
        self._replay_decode: list[StageGraph] | None = None
        self._advance: Replay | None = None
        self.incoming_free = torch.cuda.Event() if device.type == "cuda" else None
        self.reset()

    def reset(self) -> None:
        """Forget the last batch."""
        self.state.reset()
        self.seen = numpy.zeros(len(self.rows), dtype=numpy.int8)
        self.texts = Rows(None, len(self.rows))
        self.moments: list[float] = []
        self.done = False
        self.started = 0  # graphs launched: the prompt's, then one a token
        self.taken = 0  # tokens that this stage's state has taken in
        self.sending: list[Any] = []
        self.sharing: Any = None

    @property
    def running(self) -> numpy.ndarray:
        """Whether each row has not stopped yet."""
        return (self.seen & ENDS) == 0

    def has(self, width: int) -> bool:
        """Whether prompts of that bucket need no further capture."""
        return width in self._prompts and self._replay_decode is not None

    def reserve(self, width: int, incoming: torch.Tensor | None, outgoing: torch.Tensor | None) -> None:
        """Capture the prefill of prompts of ``width`` tokens beyond the prefix, and the decode step.

        Args:
            width: tokens of a prompt, padded.
            incoming: buffer for hidden states from the stage before, [rows * width, hidden]; None on the first.
            outgoing: buffer for those to the next stage; None on the last.
        """
        if width not in self._prompts:
            prompt = PrefillGraphs(len(self.rows), width, self.decoder, incoming, outgoing)
            self._prompts[width] = prompt
            for graph, part in zip(prompt.graphs, prompt.parts, strict=True):
                graph.replay = self.graph_pool.capture(functools.partial(self._prefill, prompt, graph, part))
            if not self.decoder.last:
                prompt.start = self.intake_pool.capture(
                    lambda: self.state.start(self.tokens, prompt.lengths(self.prefix))
                )
        if self._replay_decode is None:
            self._replay_decode = [StageGraph(self.incoming, self.outgoing, self.graph_pool.capture(self._decode_step))]
            self._advance = None if self.decoder.last else self.intake_pool.capture(self._take_next)

    def begin(self, prompts: list[list[int]], width: int, pad: int, keys: list[int] | None = None) -> None:
        """Copy the prompts to the device, and the keys of their noise."""
        self.reset()
        self.draws.begin(keys)
        self.prompt = self._prompts[width]
        self.prompt.staged.copy_(pad_right(prompts, width, pad))
        if self.prompt.given is not self.prompt.staged:
            self.prompt.given.copy_(self.prompt.staged, non_blocking=True)
        if self.incoming_free is not None:
            self.incoming_free.record()

    def graphs(self) -> list[StageGraph]:
        """The next graphs of this stage: the prefill's at first, then a decode step's."""
        return self.prompt.graphs if self.started == 0 else self._replay_decode

    def take_tokens(self) -> None:
        """Update the state with the tokens of the last stage, which has done so itself."""
        if not self.decoder.last:
            self.prompt.start() if self.taken == 0 else self._advance()
        self.taken += 1

    def _prefill(self, prompt: PrefillGraphs, graph: StageGraph, part: range) -> None:
        rows, count = slice(part.start, part.stop), len(part)
        x = self.decoder.embed(prompt.given[rows, :-1]) if graph.incoming is None else graph.incoming
        x = self.decoder.prefill_hidden(x, self.cache.rows(self.rows.start + part.start, count), count, self.prefix)
        if graph.outgoing is not None:
            graph.outgoing.copy_(x)
            return
        ends = (prompt.given[rows, -1] - 1).view(-1, 1, 1).expand(-1, 1, x.shape[-1])
        prompt.ends[rows] = x.view(count, prompt.width, -1).gather(1, ends).squeeze(1)
        if part.stop == len(self.rows):
            lengths = prompt.lengths(self.prefix)
            self.state.start(self.decoder.choose(prompt.ends, self.draws.rows, lengths), lengths)
            self.tokens.copy_(self.state.token)

    def _decode_step(self) -> None:
        state = self.state
        x = self.decoder.embed(state.token) if self.decoder.first else self.incoming
        x = self.decoder.decode_hidden(x, self._layers, state.positions)
        if self.decoder.last:
            state.advance(self.draws.choose(self.decoder, x, state.positions))
            self.tokens.copy_(state.token)
        else:
            self.outgoing.copy_(x)

    def _take_next(self) -> None:
        self.state.advance(self.tokens)


@dataclass
class StageGraph:
    """A captured graph, with the buffers of hidden states that it reads and writes, [T, hidden]; None at the ends."""

    incoming: torch.Tensor | None
    outgoing: torch.Tensor | None
    replay: Replay | None = None


class PrefillGraphs:
    """The prefill of prompts of one bucket: tokens and lengths, int64 [rows, width + 1], and captured graphs."""

    start: Replay

    def __init__(
        self, rows: int, width: int, decoder: StageDecoder, incoming: torch.Tensor | None, outgoing: torch.Tensor | None
    ) -> None:
        self.width = width
        pinned = decoder.device.type == "cuda"
        self.staged = torch.ones((rows, width + 1), dtype=torch.int64, pin_memory=pinned)
        self.given = self.staged.to(decoder.device) if pinned else self.staged
        self.ends = torch.zeros(
            (rows, decoder.width) if decoder.last else 0, dtype=decoder.dtype, device=decoder.device
        )
        # The same chunks on every stage: what one sends is what the next receives.
        tokens = rows * width
        self.parts = micro_batches(
            rows, max(min(CHUNKS, tokens // MIN_CHUNK_TOKENS), -(-tokens // MAX_CHUNK_TOKENS), 1)
        )
        self.graphs = [
            StageGraph(
                *(
                    None if whole is None else whole[part.start * width : part.stop * width]
                    for whole in (incoming, outgoing)
                )
            )
            for part in self.parts
        ]

    def lengths(self, prefix: int) -> torch.Tensor:
        """Tokens of each whole prompt."""
        return self.given[:, -1] + prefix if prefix else self.given[:, -1]
