"""The recorded work of one batch size: a prefill for each bucket of prompt lengths, and the decode step."""

from __future__ import annotations

import torch

from scripts.engine.buckets import packed
from scripts.engine.cache import StaticCache
from scripts.engine.decoder import Decoder
from scripts.engine.graphs import Recorder, Work
from scripts.engine.state import State

PROMPT_TOKENS_AT_ONCE = 8192  # of a large batch, so that what is between two layers stays small


class Session:
    """Steps of a batch of ``rows`` requests.

    Args:
        decoder: the model.
        cache: with as many rows or more.
        rows: requests of the batch.
        steps: the most new tokens.
        recorder: records the steps.
        prefix: tokens that every prompt begins with, whose keys and values the cache already holds.
    """

    def __init__(
        self, decoder: Decoder, cache: StaticCache, rows: int, steps: int, recorder: Recorder, prefix: int = 0
    ) -> None:
        self.decoder, self.cache, self.rows, self.prefix = decoder, cache, rows, prefix
        self.recorder = recorder
        self.state = State.empty(rows, steps, decoder.vocabulary, decoder.device)
        self._layers = cache.rows(0, rows)
        self._prefills: dict[int, tuple[torch.Tensor, torch.Tensor, Work]] = {}
        self._decode: Work | None = None

    def has(self, width: int) -> bool:
        """Whether prompts of that bucket can be read without recording anything."""
        return width in self._prefills and self._decode is not None

    def reserve(self, width: int) -> None:
        """Record the prefill of prompts that are ``width`` tokens long without the prefix, and the decode step."""
        if width not in self._prefills:
            shape = (self.rows, width + 1)
            pinned = self.decoder.device.type == "cuda"
            staged = torch.ones(shape, dtype=torch.int64, pin_memory=pinned)
            given = staged.to(self.decoder.device) if pinned else staged
            self._prefills[width] = staged, given, self.recorder.record(lambda: self._read(given))
        if self._decode is None:
            self._decode = self.recorder.record(self._step)

    def begin(self, prompts: list[list[int]], width: int, pad: int) -> None:
        """Start reading the prompts, without their prefix; the first tokens will come out."""
        staged, given, read = self._prefills[width]
        self.state.reset()
        staged.copy_(packed(prompts, width, pad))
        if given is not staged:
            given.copy_(staged, non_blocking=True)
        read()

    def step(self) -> None:
        """Start a decode step."""
        self._decode()

    def _read(self, given: torch.Tensor) -> None:
        """Prefill, from tokens and lengths, int64 [rows, width + 1], to the first tokens."""
        tokens, lengths = given[:, :-1], given[:, -1]
        width = tokens.shape[1]
        at_once = max(1, PROMPT_TOKENS_AT_ONCE // width)
        last = []
        for first in range(0, self.rows, at_once):
            part = slice(first, min(first + at_once, self.rows))
            cached = self.cache.rows(first, part.stop - first)
            x = self.decoder.prompt(tokens[part], cached, self.prefix).view(part.stop - first, width, -1)
            # The head is applied to the last token of each prompt alone.
            ends = (lengths[part] - 1).view(-1, 1, 1).expand(-1, 1, x.shape[-1])
            last.append(x.gather(1, ends).squeeze(1))
        chosen = self.decoder.choose(torch.cat(last) if len(last) > 1 else last[0])
        self.state.start(chosen, lengths + self.prefix if self.prefix else lengths)

    def _step(self) -> None:
        state = self.state
        x = self.decoder.step(state.token, self._layers, state.positions)
        state.advance(self.decoder.choose(x))
