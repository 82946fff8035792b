"""Unstructured magnitude pruning (Han et al., 2015): the weights with the smallest absolute values become zero.

Over all linear layers together (``scope: global``) or the same share in each (``scope: layer``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from scripts.techniques.pruning.order import Order
from scripts.techniques.pruning.zeros import ZeroingMethod

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch

    from scripts.runtime.models import Checkpoint


def prune_smallest(tensors: Iterable[torch.Tensor], amount: float) -> None:
    """Zero the ``round(amount * n)`` smallest absolute values of all ``tensors`` together, in place.

    The threshold is found exactly by counting: the bits of a non-negative float, read as an integer, sort like the
    float. Two passes of 65,536 counters replace a sort, so that billions of weights need no memory beside themselves.
    Among equal values at the threshold, the first in storage order are zeroed.
    """
    tensors = list(tensors)
    remaining = round(amount * sum(tensor.numel() for tensor in tensors))
    if remaining == 0:
        return
    high, remaining = _locate(tensors, remaining, lambda bits: bits >> 16)
    low, remaining = _locate(tensors, remaining, lambda bits: (bits & 0xFFFF)[(bits >> 16) == high])
    threshold = (high << 16) | low
    for tensor in tensors:
        flat = tensor.view(-1)
        for part in flat.split(_PART):
            bits = _magnitude_bits(part)
            part.masked_fill_(bits < threshold, 0)
            if remaining:
                ties = (bits == threshold).nonzero()[:remaining, 0]
                part[ties] = 0
                remaining -= len(ties)


_PART = 1 << 24  # elements handled at once


def _magnitude_bits(part: torch.Tensor) -> torch.Tensor:
    """The absolute values' bit patterns as integers, int32 [n]; bf16 and fp16 widen to float32 without loss."""
    import torch

    return part.float().abs().view(torch.int32)


def _locate(tensors: list[torch.Tensor], rank: int, digit: Any) -> tuple[int, int]:
    """The digit (0..65,535) at which the ``rank``-th smallest value lies, and its rank among those with that digit."""
    import torch

    counts = torch.zeros(1 << 16, dtype=torch.int64)
    for tensor in tensors:
        for part in tensor.view(-1).split(_PART):
            counts += torch.bincount(digit(_magnitude_bits(part)).cpu(), minlength=1 << 16)
    below = counts.cumsum(0)
    index = int(torch.searchsorted(below, torch.tensor(rank)))
    return index, rank - (int(below[index - 1]) if index else 0)


class Magnitude(ZeroingMethod):
    """The smallest absolute values, over the whole model or in each layer."""

    defaults: ClassVar[dict[str, Any]] = {"amount": 0.3, "scope": "global"}

    def prune(self, value: dict[str, Any], checkpoint: Checkpoint) -> dict[str, Any]:
        """Zero the smallest weights in place."""
        selected = [checkpoint.weights[name] for name in checkpoint.linear]
        for group in [selected] if value["scope"] == "global" else [[tensor] for tensor in selected]:
            prune_smallest(group, value["amount"])
        return {}

    def check_order(self, value: dict[str, Any], checkpoint: Checkpoint, details: dict[str, Any]) -> Order:
        """Compare the zeros with the stored weights' absolute values, in the whole model or in each layer."""
        order = Order()
        removed, left = -math.inf, math.inf
        for name in checkpoint.linear:
            before, after = checkpoint.read(name), checkpoint.weights[name]
            kept = after != 0
            scores = before.abs().float()
            order.zeros_before += before.numel() - int(before.count_nonzero())
            order.removed_weights += int(((before != 0) & ~kept).sum())
            order.changed_weights += int((after != before)[kept].sum())
            own_removed = float(scores.masked_fill(kept, -math.inf).max())
            own_left = float(scores.masked_fill(~kept, math.inf).min())
            if value["scope"] == "layer":
                order.add_extremes(own_removed, own_left)
            removed, left = max(removed, own_removed), min(left, own_left)
        if value["scope"] == "global":
            order.add_extremes(removed, left)
        return order

    def zero_share(self, value: dict[str, Any], out_features: int, in_features: int) -> float:
        """Share of zeros that a layer of that shape must have; over all layers together, that of the model."""
        if value["scope"] == "global":
            return value["amount"]
        return round(value["amount"] * out_features * in_features) / (out_features * in_features)


METHOD = Magnitude()
