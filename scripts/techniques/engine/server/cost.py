"""Cost of a server: the same products as the model has, as far as its arguments leave the model as it is."""

from __future__ import annotations

from typing import Any

from scripts.techniques.engine.cost import EngineCost

CHANGING = ("arguments", "model", "command")


class ServerCost(EngineCost):
    """What its own arguments do to the weights is not known, so that nothing is promised then."""

    def changes_tokens(self, value: Any, difference: dict[str, Any]) -> bool:
        """Its tokens must be its parent's only where the preset alone says how it runs."""
        return any(value.get(key) for key in CHANGING)

    def not_counted(self, value: Any) -> str | None:
        """Other weights than the checkpoint's have other bytes."""
        return "the server may store or compute the model in another way" if self.changes_tokens(value, {}) else None


COST = ServerCost()
