"""The captured graphs of one batch size: a prefill for each bucket of prompt lengths, and the decode step."""

from __future__ import annotations

import torch

from scripts.engine.buckets import pad_right
from scripts.engine.cache import StaticCache
from scripts.engine.decoder import Decoder
from scripts.engine.draws import BatchDraws
from scripts.engine.graphs import GraphPool, Replay
from scripts.engine.state import State
from scripts.runtime.drawing import Sampler

PREFILL_TOKENS = 8192  # a larger batch is prefilled in parts, so that activations stay small


class Session:
    """Prefill and decode steps of a batch of ``rows`` requests.

    Args:
        decoder: the model.
        cache: with as many rows or more.
        rows: requests of the batch.
        steps: the most new tokens.
        graph_pool: captures the graphs.
        prefix: tokens that every prompt begins with, whose keys and values the cache already holds.
        sampler: how tokens are drawn; None: the most likely ones are taken.
    """

    def __init__(
        self, decoder: Decoder, cache: StaticCache, rows: int, steps: int, graph_pool: GraphPool, prefix: int = 0,
        sampler: Sampler | None = None,
    ) -> None:  # fmt: skip
        self.decoder, self.cache, self.rows, self.prefix = decoder, cache, rows, prefix
        self.graph_pool = graph_pool
        self.draws = BatchDraws(sampler, rows, decoder.device)
        self.state = State.empty(rows, steps, decoder.vocabulary, decoder.device)
        self._layers = cache.rows(0, rows)
        self._prefills: dict[int, tuple[torch.Tensor, torch.Tensor, Replay]] = {}
        self._replay_decode: Replay | None = None

    def has(self, width: int) -> bool:
        """Whether prompts of that bucket need no further capture."""
        return width in self._prefills and self._replay_decode is not None

    def reserve(self, width: int) -> None:
        """Capture the prefill of prompts of ``width`` tokens beyond the prefix, and the decode step."""
        if width not in self._prefills:
            shape = (self.rows, width + 1)
            pinned = self.decoder.device.type == "cuda"
            staged = torch.ones(shape, dtype=torch.int64, pin_memory=pinned)
            given = staged.to(self.decoder.device) if pinned else staged
            self._prefills[width] = staged, given, self.graph_pool.capture(lambda: self._prefill(given))
        if self._replay_decode is None:
            self._replay_decode = self.graph_pool.capture(self._decode_step)

    def begin(self, prompts: list[list[int]], width: int, pad: int, keys: list[int] | None = None) -> None:
        """Launch the prefill of the prompts, given without their prefix; ``keys`` are those of their noise."""
        staged, given, replay = self._prefills[width]
        self.state.reset()
        self.draws.begin(keys)
        staged.copy_(pad_right(prompts, width, pad))
        if given is not staged:
            given.copy_(staged, non_blocking=True)
        replay()

    def step(self) -> None:
        """Launch a decode step."""
        self._replay_decode()

    def _prefill(self, given: torch.Tensor) -> None:
        """Prefill, from tokens and lengths, int64 [rows, width + 1], to the first tokens."""
        tokens, lengths = given[:, :-1], given[:, -1]
        width = tokens.shape[1]
        at_once = max(1, PREFILL_TOKENS // width)
        last = []
        for first in range(0, self.rows, at_once):
            part = slice(first, min(first + at_once, self.rows))
            cached = self.cache.rows(first, part.stop - first)
            x = self.decoder.prefill(tokens[part], cached, self.prefix).view(part.stop - first, width, -1)
            # The output head is applied to the last token of each prompt alone.
            ends = (lengths[part] - 1).view(-1, 1, 1).expand(-1, 1, x.shape[-1])
            last.append(x.gather(1, ends).squeeze(1))
        whole = lengths + self.prefix if self.prefix else lengths
        chosen = self.decoder.choose(torch.cat(last) if len(last) > 1 else last[0], self.draws.rows, whole)
        self.state.start(chosen, whole)

    def _decode_step(self) -> None:
        state = self.state
        x = self.decoder.decode(state.token, self._layers, state.positions)
        state.advance(self.draws.choose(self.decoder, x, state.positions))
