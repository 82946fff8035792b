"""Cost of ``graph``: the same products, on a cache of the same numbers."""

from scripts.techniques.engine.cost import COST

__all__ = ["COST"]
