"""Cost of facet ``parallel``: what each device holds."""

from __future__ import annotations

from typing import Any

from scripts.hardware.cost import Cost, Layout


class ParallelCost(Cost):
    """The same products, on several devices."""

    lossless = True

    def layout(self, value: Any) -> Layout:
        """Shards or stages."""
        return Layout(value.get("tensor", 1), value.get("pipeline", 1))


COST = ParallelCost()
