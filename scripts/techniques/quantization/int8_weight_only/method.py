"""8-bit weights: a scale a row, by its largest absolute value."""

from __future__ import annotations

from scripts.techniques.quantization.weight_only import WeightOnlyMethod


class Int8WeightOnly(WeightOnlyMethod):
    """A byte a weight, and a float32 scale a row."""

    matrix_kind = "int8"
    stored = "int8"
    largest_error = 0.1  # it depends on how far a row's largest weight stands out


METHOD = Int8WeightOnly()
