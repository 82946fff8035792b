"""A model's linear layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def linear_layers(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """The linear layers by name, the output head left out (embeddings are not linear layers).

    GPT-2's ``Conv1D`` is one whose weight is stored as [in, out].
    """
    import torch
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not head
    }


def widths(layer: torch.nn.Module) -> tuple[int, int]:
    """Output and input features of a linear layer."""
    return (layer.nf, layer.nx) if hasattr(layer, "nf") else (layer.out_features, layer.in_features)


def stacked_weights(model: torch.nn.Module) -> str | None:
    """Name of a parameter that stacks several matrices (such as experts) outside linear layers, or None."""
    import torch

    convolutions = torch.nn.Conv1d | torch.nn.Conv2d
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.dim() > 2 and not isinstance(module, convolutions) and min(parameter.shape) > 1:
                return f"{prefix}.{name}"
    return None


def stored_weight(module: torch.nn.Module) -> torch.Tensor:
    """A linear layer's weight of this process as dense numbers: a shard of it, or a 4-bit or 8-bit one expanded."""
    if hasattr(module, "matrix"):
        return module.expanded()
    weight = module.weight
    if hasattr(weight, "to_local"):
        return weight.to_local()
    if getattr(weight, "quant_state", None) is not None:
        import bitsandbytes.functional as functional

        return functional.dequantize_4bit(weight.data, weight.quant_state)
    if getattr(module, "state", None) is not None and getattr(module.state, "CB", None) is not None:
        return module.state.CB
    return weight.data


def stored_shape(module: torch.nn.Module) -> tuple[int, ...]:
    """The shape [out, in] of what this process holds of a linear layer."""
    if hasattr(module, "matrix"):
        return tuple(module.matrix.shape)
    weight = module.weight
    if hasattr(weight, "to_local"):
        return tuple(weight.to_local().shape)
    state = getattr(weight, "quant_state", None)
    return tuple(stored_weight(module).shape if state is None else state.shape)
