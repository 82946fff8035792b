"""Cost of ``fp8``: 8-bit weights with a scale a row."""

from scripts.techniques.quantization.cost import RowScales


class FP8Cost(RowScales):
    """Products of many tokens have their inputs rounded to 8 bits, and those of few have not."""

    depends_on_batch = True


COST = FP8Cost()
