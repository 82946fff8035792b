"""Cost of an endpoint: how it was started is not known, and so neither are its bytes and operations."""

from __future__ import annotations

from typing import Any

from scripts.techniques.engine.cost import EngineCost


class EndpointCost(EngineCost):
    """Nothing is promised of it."""

    def changes_tokens(self, value: Any, difference: dict[str, Any]) -> bool:
        """Whether its weights are the checkpoint's is not known."""
        return True

    def not_counted(self, value: Any) -> str | None:
        """How it computes is not known."""
        return "how the endpoint stores and computes the model is not known"


COST = EndpointCost()
