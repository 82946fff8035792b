"""Weights rounded to bfloat16 and kept in the model's dtype: its rounding without its speed."""

from __future__ import annotations

from typing import Any

from scripts.runtime.errors import EvidenceError
from scripts.runtime.generation import Observation
from scripts.runtime.layers import linear_layers
from scripts.runtime.models import Loaded
from scripts.techniques.methods import Method


class Bf16Rounded(Method):
    """No options."""

    def after_load(self, value: Any, loaded: Loaded) -> None:
        """Round the weights of the linear layers in place."""
        for layer in linear_layers(loaded.model).values():
            layer.weight.data = layer.weight.data.bfloat16().to(layer.weight.dtype)

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """How many linear layers have weights that bfloat16 can hold: all of them."""
        layers = linear_layers(loaded.model)
        rounded = sum(bool((layer.weight == layer.weight.bfloat16()).all()) for layer in layers.values())
        if rounded < len(layers):
            raise EvidenceError(f"bf16_rounded rounds {len(layers)} linear layers, but {rounded} are rounded.")
        return {"method": "bf16_rounded", "linear_layers": len(layers), "rounded_layers": rounded}


METHOD = Bf16Rounded()
