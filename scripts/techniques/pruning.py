"""Facet ``pruning``: set the smallest weights of the linear layers to zero.

Unstructured magnitude pruning (Han et al., 2015): the share ``amount`` of weights with the smallest absolute value is
zeroed, over all linear layers together (``scope: global``) or in each layer (``scope: layer``). Embeddings and output
head are left out. The zeros are written into the weights, so no mask is left and nothing is stored or computed beside
them; by themselves they neither shrink a dense tensor nor speed it up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.techniques.facet import EvidenceError, Facet, Loaded, Observation, linear_layers

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch

DEFAULTS = {"method": "magnitude", "amount": 0.3, "scope": "global"}


class Pruning(Facet):
    """``{method: magnitude, amount: 0..1, scope: global | layer}``."""

    name = "pruning"
    transforms_weights = True

    def resolve(self, value: Any) -> Any:
        """Fill in the defaults; ``none`` switches the facet off."""
        if value in (None, "none"):
            return None
        return DEFAULTS | (value if isinstance(value, dict) else {"method": value})

    def transform_weights(
        self, value: Any, weights: dict[str, torch.Tensor], linear: list[str], notes: dict[str, Any]
    ) -> None:
        """Zero the smallest weights in place; ``notes`` receives the sparsity of each layer."""
        selected = {name: weights[name] for name in linear}
        if value["scope"] == "global":
            prune_smallest(selected.values(), value["amount"])
        else:
            for tensor in selected.values():
                prune_smallest([tensor], value["amount"])
        notes["layer_sparsity"] = {name: 1 - int(t.count_nonzero()) / t.numel() for name, t in selected.items()}

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """Sparsity in the weights that were run, read back from the loaded modules of all processes."""
        zeros = total = 0
        for module in linear_layers(loaded.model).values():
            weight = stored_weight(module)
            zeros += weight.numel() - int(weight.count_nonzero())
            total += weight.numel()
        zeros, total = _over_all_ranks(zeros, total, loaded)
        facts = {
            "sparsity": zeros / total if total else 0.0,
            "zero_weights": zeros,
            "linear_weights": total,
            "layer_sparsity": loaded.notes.get("layer_sparsity", {}),
        }
        if facts["sparsity"] < value["amount"] - 0.001:
            raise EvidenceError(
                f"pruning asks for {value['amount']:.0%} zeros, but the loaded weights have {facts['sparsity']:.1%}."
            )
        return facts


def _over_all_ranks(zeros: int, total: int, loaded: Loaded) -> tuple[int, int]:
    """Sums over the process group: each rank holds a shard or a stage of the weights."""
    if loaded.process.world_size == 1:
        return zeros, total
    import torch

    sums = torch.tensor([zeros, total], dtype=torch.int64, device=loaded.process.device)
    torch.distributed.all_reduce(sums)
    return int(sums[0]), int(sums[1])


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


def stored_weight(module: torch.nn.Module) -> torch.Tensor:
    """A linear layer's weight of this process as dense numbers: a shard of it, or a 4-bit or 8-bit one expanded."""
    weight = module.weight
    if hasattr(weight, "to_local"):
        return weight.to_local()
    if getattr(weight, "quant_state", None) is not None:
        import bitsandbytes.functional as functional

        return functional.dequantize_4bit(weight.data, weight.quant_state)
    if getattr(module, "state", None) is not None and getattr(module.state, "CB", None) is not None:
        return module.state.CB
    return weight.data


FACET = Pruning()
