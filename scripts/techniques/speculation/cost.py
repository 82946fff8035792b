"""Cost of facet ``speculation``: of its rounds, which are counted as they ran; the draft's facets are its own."""

from __future__ import annotations

from typing import Any

from scripts.hardware.cost import Cost


class SpeculationCost(Cost):
    """The target verifies every token."""

    lossless = True

    def changes_tokens(self, value: Any, difference: dict[str, Any]) -> bool:
        """Tokens that are accepted by a draw are not the target's."""
        return value.get("forced_acceptance") is not None


COST = SpeculationCost()
