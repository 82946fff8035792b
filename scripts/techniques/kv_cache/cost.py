"""Cost of facet ``kv_cache``: with a cache each step reads keys and values, without one it runs the whole sequence."""

from __future__ import annotations

from typing import Any

from scripts.hardware.cost import Cost


class KVCacheCost(Cost):
    """The same keys and values, cached or recomputed."""

    lossless = True

    def keeps_cache(self, value: Any) -> bool:
        """As the value says."""
        return value != "none"


COST = KVCacheCost()
