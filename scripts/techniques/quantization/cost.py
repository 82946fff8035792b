"""Cost of facet ``quantization``: bytes of a linear layer, as each method stores it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from scripts.hardware.cost import Cost, Matrix


class QuantizationCost(Cost, ABC):
    """Of a method.

    Attributes:
        depends_on_batch: whether a product of a token depends on how many others are multiplied with it.
    """

    depends_on_batch = False

    @abstractmethod
    def matrix_bytes(self, value: Any, matrix: Matrix, size: int, repacked: bool) -> int:
        """Bytes of a linear layer, its scales and bias among them."""

    def changes_tokens(self, value: Any, difference: dict[str, Any]) -> bool:
        """Shards of quantised weights have other blocks, scales and outliers than the whole."""
        return self.depends_on_batch or "parallel" in difference


class RowScales(QuantizationCost):
    """A byte a weight, and a float32 scale an output row (LLM.int8(); Dettmers et al., 2022)."""

    def matrix_bytes(self, value: Any, matrix: Matrix, size: int, repacked: bool) -> int:
        """Of 8-bit weights."""
        return matrix.weights + matrix.rows * 4 + matrix.bias_bytes(size)


COST = Cost()
