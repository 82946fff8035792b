"""A static KV cache: allocated before the first request and written in place, in the model's dtype or in 8 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from scripts.kernels.parts import Heads
from scripts.kernels.quantised_cache import DTYPES, SCALE_DTYPE, Scales

ALIGNMENT = 64  # positions; whole tiles for the kernels that read it


def stored_dtype(facets: dict[str, Any]) -> torch.dtype | None:
    """The 8-bit type in which a technique's facets ask for keys and values; None for the model's dtype."""
    asked = facets.get("kv_cache")
    return DTYPES[asked["dtype"]] if isinstance(asked, dict) else None


@dataclass
class CachedLayer:
    """One layer's keys and values, each [rows, key-value heads, positions, width].

    Attributes:
        keys: of past tokens.
        values: likewise.
        scales: of keys and of values in 8 bits, float32 [rows, key-value heads, positions] each; None of others.
    """

    keys: torch.Tensor
    values: torch.Tensor
    scales: Scales | None = None

    def rows(self, first: int, count: int) -> CachedLayer:
        """Views of some of the rows."""
        part = slice(first, first + count)
        scales = None if self.scales is None else (self.scales[0][part], self.scales[1][part])
        return CachedLayer(self.keys[part], self.values[part], scales)

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All of its tensors."""
        return [self.keys, self.values, *(self.scales or ())]


class StaticCache:
    """Keys and values of a fixed number of rows and positions in every layer.

    Args:
        layers: how many layers this process holds.
        rows: the largest batch.
        positions: tokens of the longest request, rounded up to whole tiles.
        heads: of this process.
        dtype: of the model.
        device: where it lies.
        stored: the 8-bit type of keys and values; None for the model's dtype.
    """

    def __init__(
        self, layers: int, rows: int, positions: int, heads: Heads, dtype: torch.dtype, device: torch.device,
        stored: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        self.positions = _aligned(positions)
        self.model_dtype = dtype
        shape = (layers, 2, rows, heads.key_value, self.positions)
        # Zeros, since what is never written may still be multiplied by a weight of zero.
        storage = torch.zeros((*shape, heads.width), dtype=stored or dtype, device=device)
        scales = [None] * layers
        if stored is not None:
            scales = [(block[0], block[1]) for block in torch.zeros(shape, dtype=SCALE_DTYPE, device=device)]
        self.layers = [CachedLayer(block[0], block[1], own) for block, own in zip(storage, scales, strict=True)]
        self.length = 0  # positions that the last request filled, for the evidence

    @property
    def stored_as(self) -> str:
        """The dtype of keys and values, by its name."""
        return str(self.layers[0].keys.dtype).removeprefix("torch.")

    @staticmethod
    def row_bytes(
        layers: int, positions: int, heads: Heads, dtype: torch.dtype, stored: torch.dtype | None = None
    ) -> int:
        """Bytes of a row, with the arguments of a cache."""
        vector = heads.width * (stored or dtype).itemsize + (0 if stored is None else SCALE_DTYPE.itemsize)
        return 2 * layers * heads.key_value * vector * _aligned(positions)

    def rows(self, first: int, count: int) -> list[CachedLayer]:
        """Views of some of the rows, in every layer."""
        return [layer.rows(first, count) for layer in self.layers]

    def get_seq_length(self, layer: int = 0) -> int:
        """Positions that the last request filled; the name is that of transformers' caches."""
        return self.length if layer < len(self.layers) else 0

    def __len__(self) -> int:
        return len(self.layers)


def _aligned(positions: int) -> int:
    return -(-positions // ALIGNMENT) * ALIGNMENT
