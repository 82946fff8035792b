"""Common to all methods: replacing linear layers, and checking the stored layers against the method."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.layers import linear_layers, stacked_weights

if TYPE_CHECKING:
    import torch

BYTES_TOLERANCE = 0.05  # share by which stored bytes may differ from the method's own


def local_weight(layer: torch.nn.Module) -> torch.Tensor:
    """What this process holds of a layer's dense weight, [N, K]: a shard of it under tensor parallelism."""
    weight = layer.weight.detach()
    if hasattr(layer, "nf"):  # a Conv1D stores [K, N]
        return weight.T
    return weight.to_local() if hasattr(weight, "to_local") else weight


def part_of(layer: torch.nn.Module) -> tuple[int, int, int] | None:
    """The dimension of its weight along which a layer is split, this rank, and the ranks; None of a whole layer."""
    if not hasattr(layer.weight, "to_local"):
        return None
    mesh = layer.weight.device_mesh
    return layer.weight.placements[0].dim, mesh.get_local_rank(), mesh.size()


def refuse_scattered(name: str, stored: Any) -> None:
    """Refuse columns in order of activation that the checkpoint's configuration doesn't speak of."""
    if stored.groups is not None:
        raise UnsupportedError(
            f"4-bit groups are of neighbouring columns, and the checkpoint scatters those of {name} over the row."
        )


def replace(model: torch.nn.Module, make: Callable[[str, torch.nn.Module], torch.nn.Module]) -> None:
    """Put ``make(name, layer)`` in the place of every linear layer, one after another.

    A sharded layer keeps its collectives. Column-wise it holds rows of the weight [out/n, in], row-wise columns
    [out, in/n], whose partial products are summed over the ranks by the forward that transformers' style installs.

    Raises:
        UnsupportedError: a sharded layer has a bias.
    """
    # By name: a list of the layers themselves would keep all of them in memory to the end.
    for name in list(linear_layers(model)):
        layer = model.get_submodule(name)
        made = make(name, layer)
        if hasattr(layer.weight, "to_local"):
            _keep_split(name, layer, made)
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, made)


def refuse_bias(name: str, layer: torch.nn.Module) -> None:
    """A row-wise shard would add the bias once a rank."""
    if layer.bias is not None:
        raise UnsupportedError(f"quantised shards have no bias, but {name} has one; run it on one device.")


def _keep_split(name: str, layer: torch.nn.Module, made: torch.nn.Module) -> None:
    from transformers.distributed.tensor_parallel import ALL_PARALLEL_STYLES

    refuse_bias(name, layer)
    placement = layer.weight.placements[0]
    # The style reads the widths of the whole layer, and must see a plain local layer.
    made.in_features, made.out_features = layer.in_features, layer.out_features
    made._hf_quantized_needs_local_tp = True
    ALL_PARALLEL_STYLES["colwise" if placement.dim == 0 else "rowwise"].install_forward(made, layer.weight.device_mesh)


def refuse_no_layers(method: str, model: torch.nn.Module) -> None:
    """Refuse a model without linear layers, or with weights that no linear layer holds."""
    if not linear_layers(model):
        raise UnsupportedError(
            f"quantization '{method}' works on linear layers, and this '{model.config.model_type}' model has none "
            "outside its head."
        )
    other = stacked_weights(model)
    if other is not None:
        raise UnsupportedError(
            f"quantization '{method}' works on linear layers, and this '{model.config.model_type}' model keeps other "
            f"weights too, in {other}, which would stay as they are."
        )


def stored_facts(
    method: str, layers: dict[str, Any], *, module_class: str, stored: str,
    tensor: Callable[[Any], torch.Tensor], analytic_bytes: Callable[[Any], float],
) -> dict[str, Any]:  # fmt: skip
    """Class, dtype and bytes of the linear layers.

    Args:
        method: its name, for the sentences.
        layers: all linear layers by name.
        module_class: the class that each must be of.
        stored: dtype of the packed weights.
        tensor: the packed weights of a layer.
        analytic_bytes: bytes of a layer by the method's definition.

    Raises:
        EvidenceError: a layer is of another class or type, or more or fewer bytes are stored.
    """
    from scripts.runtime.tensors import module_bytes

    quantised = [layer for layer in layers.values() if type(layer).__name__ == module_class]
    types = sorted({str(tensor(layer).dtype).removeprefix("torch.") for layer in quantised})
    if not layers or len(quantised) != len(layers) or types != [stored]:
        raise EvidenceError(
            f"quantization '{method}' asks for {len(layers)} layers of {module_class} stored as {stored}, but "
            f"{len(quantised)} are, stored as {', '.join(types) or 'nothing'}."
        )
    facts = {
        "module_class": module_class,
        "quantized_modules": len(quantised),
        "linear_modules": len(layers),
        "stored_dtypes": types,
        "stored_bytes": module_bytes(*layers.values()),
        "analytic_bytes": sum(analytic_bytes(layer) for layer in layers.values()),
        "weights": sum(layer.in_features * layer.out_features for layer in layers.values()),
    }
    if abs(facts["stored_bytes"] - facts["analytic_bytes"]) > BYTES_TOLERANCE * facts["analytic_bytes"]:
        raise EvidenceError(
            f"quantization '{method}' takes {facts['analytic_bytes']} bytes for these layers, but "
            f"{facts['stored_bytes']} are stored."
        )
    return facts
