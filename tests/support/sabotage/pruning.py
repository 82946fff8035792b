"""Sabotages of pruning."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from scripts.techniques.registry import load_facet
from tests.support.sabotage.registry import method, sabotage


@sabotage
def not_pruned() -> Iterator[None]:
    with method("pruning", "transform_weights", None), method("pruning", "change_config", None):
        yield


@sabotage
def pruned_copy_is_lost() -> Iterator[None]:
    """The method prunes as it should, but what is loaded is not what it pruned."""
    facet = load_facet("pruning")
    prune = type(facet).transform_weights

    def on_a_copy(self: Any, value: Any, checkpoint: Any, notes: dict[str, Any]) -> None:
        weights = {name: tensor.clone() for name, tensor in checkpoint.weights.items()}
        prune(self, value, dataclasses.replace(checkpoint, weights=weights), notes)

    with patch.object(type(facet), "transform_weights", on_a_copy), method("pruning", "change_config", None):
        yield


@sabotage
def random_weights_are_pruned() -> Iterator[None]:
    import torch

    from scripts.techniques.pruning.magnitude import method as magnitude

    def any_weights(tensors: Any, amount: float) -> None:
        tensors = list(tensors)
        flat = torch.zeros(sum(tensor.numel() for tensor in tensors))
        flat[torch.randperm(len(flat))[: round(amount * len(flat))]] = 1
        for tensor, chosen in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor[chosen.view_as(tensor) > 0] = 0

    with patch.object(magnitude, "prune_smallest", any_weights):
        yield


@sabotage
def kept_weights_are_scaled() -> Iterator[None]:
    from scripts.techniques.pruning.magnitude import method as magnitude

    def and_scaled(tensors: Any, amount: float) -> None:
        tensors = list(tensors)
        _prune_smallest(tensors, amount)
        for tensor in tensors:
            tensor *= 1.5

    _prune_smallest = magnitude.prune_smallest
    with patch.object(magnitude, "prune_smallest", and_scaled):
        yield


@sabotage
def twice_as_much_is_pruned() -> Iterator[None]:
    from scripts.techniques.pruning.magnitude import method as magnitude

    prune = magnitude.prune_smallest
    with patch.object(magnitude, "prune_smallest", lambda tensors, amount: prune(tensors, 2 * amount)):
        yield


@sabotage
def first_channels_are_kept() -> Iterator[None]:
    import torch

    from scripts.techniques.pruning.structured import method as structured

    prune = structured.METHOD.prune

    def blindly(value: Any, checkpoint: Any) -> dict[str, Any]:
        with patch.object(structured, "channel_scores", lambda weights: -torch.arange(float(len(weights[0])))):
            return prune(value, checkpoint)

    with patch.object(structured.METHOD, "prune", blindly):
        yield


@sabotage
def channels_are_only_zeroed() -> Iterator[None]:
    """As a mask would have it: the tensors are as wide as before."""
    import torch

    from scripts.techniques.pruning.structured import method as structured

    cuts = {"_rows": 0, "_columns": 1}

    def zeroed(axis: int, tensor: Any, kept: Any) -> Any:
        left = torch.zeros_like(tensor)
        return left.index_copy_(axis, kept, tensor.index_select(axis, kept))

    with contextlib.ExitStack() as stack:
        for name, axis in cuts.items():
            stack.enter_context(patch.object(structured, name, functools.partial(zeroed, axis)))
        stack.enter_context(method("pruning", "change_config", None))
        yield


@sabotage
def fewer_channels_are_cut() -> Iterator[None]:
    from scripts.techniques.pruning.structured import method as structured

    prune, change = structured.METHOD.prune, structured.METHOD.change_config

    def less(value: dict[str, Any]) -> dict[str, Any]:
        return value | {"amount": value["amount"] / 2}

    with (
        patch.object(structured.METHOD, "prune", lambda value, checkpoint: prune(less(value), checkpoint)),
        patch.object(structured.METHOD, "change_config", lambda value, config: change(less(value), config)),
    ):
        yield


@sabotage
def inputs_do_not_count() -> Iterator[None]:
    import torch

    from scripts.techniques.pruning.wanda import method as wanda

    def ones(block: Any, run: Any) -> dict[str, Any]:
        return {name: torch.ones(layer.in_features) for name, layer in wanda._linear(block)}

    with patch.object(wanda, "_input_norms", ones):
        yield


@sabotage
def magnitudes_do_not_count() -> Iterator[None]:
    from scripts.techniques.pruning.wanda import method as wanda

    prune = wanda.prune_rows

    def by_input_alone(weight: Any, norms: Any, amount: float) -> None:
        copied = weight.sign()
        prune(copied, norms, amount)
        weight[copied == 0] = 0

    with patch.object(wanda, "prune_rows", by_input_alone):
        yield


@sabotage
def half_the_rows_are_pruned() -> Iterator[None]:
    from scripts.techniques.pruning.wanda import method as wanda

    prune = wanda.prune_rows
    with patch.object(wanda, "prune_rows", lambda weight, norms, amount: prune(weight[::2], norms, amount)):
        yield
