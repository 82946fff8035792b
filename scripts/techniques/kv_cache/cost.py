"""Cost of facet ``kv_cache``: with a cache each step reads keys and values, without one it runs the whole sequence."""

from __future__ import annotations

from typing import Any

from scripts.hardware.cost import Architecture, Cost
from scripts.techniques.kv_cache.groups import BITS, SCALE_BYTES, group_size, scaled_by_token

NOT_COUNTED = "the quantised cache is written out in the model's dtype at every step, which is not counted"


class KVCacheCost(Cost):
    """The same keys and values, cached or recomputed; quantised ones are others."""

    lossless = True

    def keeps_cache(self, value: Any) -> bool:
        """As the value says."""
        return value != "none"

    def changes_tokens(self, value: Any, difference: dict[str, Any]) -> bool:
        """Rounded keys and values are not those of another technique."""
        return isinstance(value, dict)

    def not_counted(self, value: Any) -> str | None:
        """The traffic of transformers' quantised cache; the graph engine's is read as it is stored."""
        return NOT_COUNTED if isinstance(value, dict) and not scaled_by_token(value) else None

    def position_bytes(self, value: Any, architecture: Architecture, size: int) -> float | None:
        """Bits of each number, and of each group a scale and a zero point in the model's dtype; fp8 has one scale.

        Of the graph engine's cache the bits, and a scale in float32 for each head's key and value.
        """
        if not isinstance(value, dict):
            return None
        width, heads, dtype = architecture["head_dim"], architecture["kv_heads"], value["dtype"]
        numbers = 2 * architecture["layers"] * heads * width
        if scaled_by_token(value):
            return numbers * (BITS[dtype] / 8 + SCALE_BYTES / width)
        beside = 0.0 if dtype == "fp8" else 2 * size / group_size(dtype, value["group_size"], width, heads)
        return numbers * (BITS[dtype] / 8 + beside)


COST = KVCacheCost()
