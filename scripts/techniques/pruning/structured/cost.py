"""Cost of ``structured``: narrower feed-forward layers."""

from __future__ import annotations

from typing import Any

from scripts.hardware.cost import Architecture, Cost
from scripts.hardware.widths import kept_channels


class StructuredCost(Cost):
    """Fewer channels."""

    def architecture(self, value: Any, architecture: Architecture) -> Architecture:
        """With the channels that stay."""
        return architecture | {"intermediate": kept_channels(architecture["intermediate"], value["amount"])}


COST = StructuredCost()
