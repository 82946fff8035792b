"""Unstructured pruning: single weights become zero, and the tensors keep their shapes."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.layers import widths
from scripts.techniques.pruning.base import Counts, PruningMethod

if TYPE_CHECKING:
    import torch

    from scripts.runtime.models import Checkpoint, Loaded
    from scripts.techniques.pruning.order import Order


class ZeroingMethod(PruningMethod):
    """A criterion by which single weights become zero."""

    @abstractmethod
    def zero_share(self, value: dict[str, Any], out_features: int, in_features: int) -> float:
        """Share of zeros that a layer of that shape must have; over all layers together, that of the model."""

    def counted(self, value: dict[str, Any], name: str, layer: torch.nn.Module, weights: int) -> float:
        """Weights of the layer that must be zero; the widths are the whole layer's, also of a shard."""
        return self.zero_share(value, *widths(layer)) * weights

    def refuse_no_effect(self, value: dict[str, Any], checkpoint: Checkpoint, order: Order) -> None:
        """Refuse where no weight that was not zero has become zero."""
        if order.removed_weights:
            return
        total = sum(checkpoint.weights[name].numel() for name in checkpoint.linear)
        if order.zeros_before:
            raise UnsupportedError(
                f"pruning to {value['amount']:.1%} zeros removes nothing here: {order.zeros_before / total:.1%} of the "
                "checkpoint's linear weights are zero already; raise pruning.amount, or choose a model that is not "
                "pruned."
            )
        raise UnsupportedError(
            f"pruning.amount of {value['amount']:g} is less than one of {total} linear weights, or of a row of them, "
            "so that nothing is removed; raise it."
        )

    def check_counts(self, value: dict[str, Any], loaded: Loaded, counts: Counts) -> dict[str, Any]:
        """As many zeros as were asked for; quantisation rounds some more weights to zero."""
        asked = round(counts.counted)
        if not counts.weights:
            raise EvidenceError(f"pruning asks for '{value['method']}', but the loaded model has no linear layers.")
        if counts.zeros < asked:
            raise EvidenceError(
                f"pruning asks for {value['amount']:.0%} zeros, but the loaded weights have {counts.sparsity:.1%}."
            )
        order = loaded.notes.get("pruning", {}).get("order")
        before = order.zeros_before if order is not None else 0
        if not loaded.facets.get("quantization") and counts.zeros > max(asked, before):
            raise EvidenceError(
                f"pruning asks for {asked} zeros, but {int(counts.zeros)} of the loaded weights are zero, and only "
                f"{before} of them were before."
            )
        return {}
