"""Cost of ``int8_weight_only``: 8-bit weights with a scale a row."""

from scripts.techniques.quantization.cost import RowScales

COST = RowScales()
