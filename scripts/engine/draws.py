"""How the rows of a batch, and the slots of continuous batching, are drawn."""

from __future__ import annotations

import numpy
import torch

from scripts.engine.decoder import Decoder
from scripts.runtime.drawing import Sampler
from scripts.runtime.gumbel import RowDraws

UPLOADS = 8  # a buffer is written again only after the work that read it


class BatchDraws:
    """Of batches of so many rows; without a sampler they are decoded greedily, and nothing here does anything.

    Attributes:
        rows: what captured graphs read; None without a sampler.
    """

    def __init__(self, sampler: Sampler | None, rows: int, device: torch.device) -> None:
        self.rows = None if sampler is None else RowDraws.of(sampler, rows, device)
        if self.rows is not None:
            self._staged = torch.zeros(rows, dtype=torch.int64, pin_memory=device.type == "cuda")

    def begin(self, keys: list[int] | None) -> None:
        """Send the keys of the next batch, before its first graph is launched."""
        if self.rows is not None:
            self._staged.copy_(torch.tensor(keys, dtype=torch.int64))
            self.rows.keys.copy_(self._staged, non_blocking=True)

    def choose(self, decoder: Decoder, x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """The tokens behind the newest ones, which stand at ``positions``: [B, hidden], int [B] -> int64 [B]."""
        return decoder.choose(x, self.rows, None if self.rows is None else positions + 1)


class SlotDraws:
    """Of the slots of continuous batching and one more row, each drawn as its request asks.

    Args:
        sampler: of the study; a filter that it has not can't be asked for.
        slots: how many there are.
        vocabulary: how many tokens there are.
        device: where the model is.

    Attributes:
        rows: what captured graphs read.
        order: int64 [slots + 1]: 0, 1, 2 and so on.
    """

    def __init__(self, sampler: Sampler, slots: int, vocabulary: int, device: torch.device) -> None:
        self.rows = RowDraws.of(sampler, slots + 1, device)
        self.rows.temperature.zero_()
        self.order = torch.arange(slots + 1, device=device)
        self._vocabulary = vocabulary
        pinned = device.type == "cuda"
        self._keys = torch.zeros(UPLOADS, slots, dtype=torch.int64, pin_memory=pinned)
        self._slots = torch.zeros(UPLOADS, slots, dtype=torch.int64, pin_memory=pinned)
        # Temperature, top_k (exact in float64) and what top_p leaves out.
        self._settings = torch.zeros(UPLOADS, 3, slots, dtype=torch.float64, pin_memory=pinned)
        self._uploads = 0

    def take(self, prompts: list[numpy.ndarray], slots: list[int], samplers: list[Sampler | None]) -> None:
        """Set how the requests that now take these slots are drawn; behind all work that was launched before."""
        self._uploads, count = (self._uploads + 1) % UPLOADS, len(slots)
        keys, places = self._keys[self._uploads, :count], self._slots[self._uploads, :count]
        settings = self._settings[self._uploads, :, :count]
        for number, (prompt, sampler) in enumerate(zip(prompts, samplers, strict=True)):
            if sampler is None:
                keys[number] = 0
                settings[:, number] = torch.tensor([0.0, self._vocabulary, 0.0])
            else:
                keys[number] = sampler.keys([prompt.tolist()])[0]
                settings[:, number] = torch.tensor(
                    [sampler.temperature, sampler.top_k or self._vocabulary, 1 - sampler.top_p], dtype=torch.float64
                )
        places.copy_(torch.tensor(slots))
        device = self.order.device
        to = places.to(device, non_blocking=True)
        temperature, top_k, cut = settings.to(device, non_blocking=True)
        rows = self.rows
        rows.keys[to] = keys.to(device, non_blocking=True)
        rows.temperature[to] = temperature.float()
        if rows.top_k is not None:
            rows.top_k[to] = top_k.long()
        if rows.cut is not None:
            rows.cut[to] = cut.float()
