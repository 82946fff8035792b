"""One micro-batch on one pipeline stage: its rows of the cache, what it is handed, and its recorded work."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy
import torch

from scripts.engine.buckets import packed
from scripts.engine.cache import StaticCache
from scripts.engine.decoder import Decoder
from scripts.engine.graphs import Recorder, Work
from scripts.engine.state import State
from scripts.runtime.stages import parts

# A prompt's hidden states are handed on in chunks of rows, so that the next stage soon has something to do.
CHUNKS, CHUNK_TOKENS, MOST_TOKENS = 4, 1024, 8192  # at least so many tokens each where there are so many, and at most


class StageDecoder(Decoder):
    """The layers of one stage; the first has the embedding, the last the norm and the output head.

    Args:
        model: a LlamaForCausalLM of which transformers loaded one stage.
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
        """Tokens that there are."""
        return self._vocabulary


class MicroBatch:
    """A few rows of a batch; the same on every stage, so that all know when it ends.

    Args:
        decoder: this stage's layers.
        cache: of this stage.
        rows: which rows of the batch, and of the cache.
        steps: the most new tokens.
        recorder: records the stage's work.
        intake: records what takes tokens in.
        prefix: tokens that every prompt begins with, whose keys and values the cache already holds.

    Attributes:
        state: tokens, positions and stops, the same on all stages.
        tokens: int64 [rows]: the newest tokens, on their way from the last stage.
        incoming: decode steps' hidden states from the stage before, [rows, hidden].
        outgoing: those for the next stage.
        running: of each row, whether it has not stopped.
        seen: when the host saw each token.
    """

    def __init__(
        self, decoder: StageDecoder, cache: StaticCache, rows: range, steps: int, recorder: Recorder, intake: Recorder,
        prefix: int,
    ) -> None:  # fmt: skip
        self.decoder, self.cache, self.rows, self.prefix = decoder, cache, rows, prefix
        self.recorder, self.intake = recorder, intake
        device = decoder.device
        self.state = State.empty(len(rows), steps, decoder.vocabulary, device)
        self.tokens = torch.zeros(len(rows), dtype=torch.int64, device=device)
        shape = (len(rows), decoder.width)
        self.incoming = None if decoder.first else torch.zeros(shape, dtype=decoder.dtype, device=device)
        self.outgoing = None if decoder.last else torch.zeros(shape, dtype=decoder.dtype, device=device)
        self._layers = cache.rows(rows.start, len(rows))
        self._prompts: dict[int, Prompt] = {}
        self._decode: list[Piece] | None = None
        self._advance: Work | None = None
        self.free = torch.cuda.Event() if device.type == "cuda" else None
        self.begin_again()

    def begin_again(self) -> None:
        """Forget what the last batch left."""
        self.state.reset()
        self.running = numpy.ones(len(self.rows), dtype=bool)
        self.seen: list[float] = []
        self.done = False
        self.started = 0  # graphs launched: the prompt's, then one a token
        self.taken = 0  # tokens that this stage's state has taken in
        self.sending: list[Any] = []
        self.sharing: Any = None

    def has(self, width: int) -> bool:
        """Whether prompts of that bucket can be read without recording anything."""
        return width in self._prompts and self._decode is not None

    def reserve(self, width: int, incoming: torch.Tensor | None, outgoing: torch.Tensor | None) -> None:
        """Record the work of prompts that are ``width`` tokens long without the prefix, and of a decode step.

        Args:
            width: tokens of a prompt, padded.
            incoming: where the stage before puts their hidden states, [rows * width, hidden]; None on the first.
            outgoing: where this stage puts them; None on the last.
        """
        if width not in self._prompts:
            prompt = Prompt(len(self.rows), width, self.decoder, incoming, outgoing)
            self._prompts[width] = prompt
            for piece, part in zip(prompt.pieces, prompt.parts, strict=True):
                piece.work = self.recorder.record(functools.partial(self._read, prompt, piece, part))
            if not self.decoder.last:
                prompt.start = self.intake.record(lambda: self.state.start(self.tokens, prompt.lengths(self.prefix)))
        if self._decode is None:
            self._decode = [Piece(self.incoming, self.outgoing, self.recorder.record(self._step))]
            self._advance = None if self.decoder.last else self.intake.record(self._take_next)

    def begin(self, prompts: list[list[int]], width: int, pad: int) -> None:
        """Hand the prompts to the device."""
        self.begin_again()
        self.prompt = self._prompts[width]
        self.prompt.staged.copy_(packed(prompts, width, pad))
        if self.prompt.given is not self.prompt.staged:
            self.prompt.given.copy_(self.prompt.staged, non_blocking=True)
        if self.free is not None:
            self.free.record()

    def pieces(self) -> list[Piece]:
        """The next work of this stage: the prompt's at first, then a decode step."""
        return self.prompt.pieces if self.started == 0 else self._decode

    def take(self) -> None:
        """Take in the tokens that came from the last stage; there they are in place already."""
        if not self.decoder.last:
            self.prompt.start() if self.taken == 0 else self._advance()
        self.taken += 1

    def _read(self, prompt: Prompt, piece: Piece, part: range) -> None:
        rows, count = slice(part.start, part.stop), len(part)
        x = self.decoder.embed(prompt.given[rows, :-1]) if piece.incoming is None else piece.incoming
        x = self.decoder.prompt_from(x, self.cache.rows(self.rows.start + part.start, count), count, self.prefix)
        if piece.outgoing is not None:
            piece.outgoing.copy_(x)
            return
        ends = (prompt.given[rows, -1] - 1).view(-1, 1, 1).expand(-1, 1, x.shape[-1])
        prompt.ends[rows] = x.view(count, prompt.width, -1).gather(1, ends).squeeze(1)
        if part.stop == len(self.rows):
            self.state.start(self.decoder.choose(prompt.ends), prompt.lengths(self.prefix))
            self.tokens.copy_(self.state.token)

    def _step(self) -> None:
        state = self.state
        x = self.decoder.embed(state.token) if self.decoder.first else self.incoming
        x = self.decoder.step_from(x, self._layers, state.positions)
        if self.decoder.last:
            state.advance(self.decoder.choose(x))
            self.tokens.copy_(state.token)
        else:
            self.outgoing.copy_(x)

    def _take_next(self) -> None:
        self.state.advance(self.tokens)


@dataclass
class Piece:
    """Recorded work, the hidden states that it is handed and those that it hands on, [T, hidden]; None at the ends."""

    incoming: torch.Tensor | None
    outgoing: torch.Tensor | None
    work: Work | None = None


class Prompt:
    """What prompts of one bucket need: tokens and lengths, int64 [rows, width + 1], and captured graphs."""

    start: Work

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
        # Alike on every stage: what one sends is what the next receives.
        tokens = rows * width
        self.parts = parts(rows, max(min(CHUNKS, tokens // CHUNK_TOKENS), -(-tokens // MOST_TOKENS), 1))
        self.pieces = [
            Piece(*(None if whole is None else whole[part.start * width : part.stop * width] for whole in passage))
            for passage in [(incoming, outgoing)]
            for part in self.parts
        ]

    def lengths(self, prefix: int) -> torch.Tensor:
        """Tokens of each whole prompt."""
        return self.given[:, -1] + prefix if prefix else self.given[:, -1]
