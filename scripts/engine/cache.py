"""A static KV cache: one allocation, made before the first request and written in place."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from scripts.kernels.parts import Heads

ALIGNMENT = 64  # positions; whole tiles for the kernels that read it


@dataclass
class CachedLayer:
    """One layer's keys and values, each [rows, key-value heads, positions, width]."""

    keys: torch.Tensor
    values: torch.Tensor


class StaticCache:
    """Keys and values of a fixed number of rows and positions in every layer.

    Args:
        layers: how many layers this process holds.
        rows: the largest batch.
        positions: tokens of the longest request, rounded up to whole tiles.
        heads: of this process.
        dtype: of keys and values.
        device: where it lies.
    """

    def __init__(
        self, layers: int, rows: int, positions: int, heads: Heads, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.positions = -(-positions // ALIGNMENT) * ALIGNMENT
        shape = (layers, 2, rows, heads.key_value, self.positions, heads.width)
        # Zeros, since what is never written may still be multiplied by a weight of zero.
        storage = torch.zeros(shape, dtype=dtype, device=device)
        self.layers = [CachedLayer(block[0], block[1]) for block in storage]
        self.length = 0  # positions that the last request filled, for the evidence

    def rows(self, first: int, count: int) -> list[CachedLayer]:
        """Views of some of the rows, in every layer."""
        part = slice(first, first + count)
        return [CachedLayer(layer.keys[part], layer.values[part]) for layer in self.layers]

    def get_seq_length(self, layer: int = 0) -> int:
        """Positions that the last request filled; the name is that of transformers' caches."""
        return self.length if layer < len(self.layers) else 0

    def __len__(self) -> int:
        return len(self.layers)
