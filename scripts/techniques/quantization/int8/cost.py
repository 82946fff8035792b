"""Cost of ``int8``: 8-bit weights with a scale a row."""

from scripts.techniques.quantization.cost import RowScales


class Int8Cost(RowScales):
    """LLM.int8() looks for outliers in all tokens of a forward together."""

    depends_on_batch = True


COST = Int8Cost()
