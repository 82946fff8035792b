"""Cost of ``transformers_continuous``: passes of requests that join and leave, which a batch's lengths don't tell."""

from __future__ import annotations

from typing import Any

from scripts.techniques.engine.cost import EngineCost


class TransformersContinuousCost(EngineCost):
    """Work is counted of batches that stay together until their last request has ended."""

    def not_counted(self, value: Any) -> str:
        """Always."""
        return "requests join between the passes, which are not counted"


COST = TransformersContinuousCost()
