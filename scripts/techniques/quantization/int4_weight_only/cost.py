"""Cost of ``int4_weight_only``: half a byte a weight, and a scale and a minimum of the model's dtype a group."""

from __future__ import annotations

from typing import Any

from scripts.hardware.cost import Matrix
from scripts.hardware.widths import INT4_GROUP
from scripts.techniques.quantization.cost import QuantizationCost


class Int4WeightOnlyCost(QuantizationCost):
    """Groups of 64 columns."""

    def matrix_bytes(self, value: Any, matrix: Matrix, size: int, repacked: bool) -> int:
        """Two numbers of the model's dtype a group."""
        groups = matrix.rows * (matrix.columns // INT4_GROUP)
        return matrix.weights // 2 + groups * 2 * size + matrix.bias_bytes(size)


COST = Int4WeightOnlyCost()
