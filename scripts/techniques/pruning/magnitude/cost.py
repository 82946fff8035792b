"""Cost of ``magnitude``: zeros in dense tensors, which are stored and multiplied as any other number."""

from scripts.techniques.pruning.cost import COST

__all__ = ["COST"]
