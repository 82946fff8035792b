"""Cost of ``nf4``: half a byte a weight, a scale a block of 64, and the table of the 16 values."""

from __future__ import annotations

from typing import Any

from scripts.hardware.cost import Matrix
from scripts.techniques.quantization.cost import QuantizationCost

BLOCK = 64
CODE_BYTES = 16 * 4  # the 16 values that 4 bits stand for
SCALE_BLOCK = 256  # scales that share a scale of their own under double quantisation
SCALE_CODE_BYTES = 256 * 4 + 4  # the values that 8 bits stand for, and the scales' mean


class NF4Cost(QuantizationCost):
    """QLoRA (Dettmers et al., 2023)."""

    def matrix_bytes(self, value: Any, matrix: Matrix, size: int, repacked: bool) -> int:
        """Bytes as packed; repacked for AVX512-BF16, scales are 2 bytes wide and not quantised in turn."""
        blocks = -(-matrix.weights // BLOCK)
        packed = -(-matrix.weights // 2) + CODE_BYTES + matrix.bias_bytes(size)
        double = bool(value.get("double_quantization"))
        if repacked:
            return packed + blocks * 2 + (4 if double else 0)  # the scales' mean is left behind
        if not double:
            return packed + blocks * 4
        return packed + blocks + -(-blocks // SCALE_BLOCK) * 4 + SCALE_CODE_BYTES


COST = NF4Cost()
