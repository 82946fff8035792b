"""Facet ``pruning``: remove the weights of the linear layers that matter least.

``magnitude``: the smallest weights become zero. ``wanda``: the same by weight times input norm. Zeros in dense tensors
neither shrink nor speed up anything by themselves. ``structured``: feed-forward channels are cut out, and the tensors
shrink. Embeddings and output head are left out. No mask is left beside the weights, and nothing is trained afterwards.
A pruned checkpoint is quantised, or split over processes, after it is pruned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.foundation.errors import StudyError
from scripts.hardware.widths import kept_channels
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.generation import Observation
from scripts.runtime.layers import linear_layers, widths
from scripts.runtime.models import Checkpoint, Loaded
from scripts.techniques.facet import Facet
from scripts.techniques.pruning.magnitude import method as magnitude
from scripts.techniques.pruning.structured import method as structured
from scripts.techniques.pruning.wanda import method as wanda

if TYPE_CHECKING:
    import torch

METHODS = {"magnitude": magnitude, "structured": structured, "wanda": wanda}


class Pruning(Facet):
    """``none | magnitude | structured | wanda``, or an object with ``method``, ``amount`` and the method's options."""

    name = "pruning"
    transforms_weights = True

    def resolve(self, value: Any) -> Any:
        """Fill in the method's defaults; ``none`` switches the facet off."""
        if value in (None, "none"):
            return None
        given = value if isinstance(value, dict) else {"method": value}
        method = given.get("method", "magnitude")
        if method not in METHODS:
            raise StudyError(f"pruning method {method!r} does not exist; use 'none', {_listed(METHODS)}.")
        defaults = METHODS[method].DEFAULTS
        unknown = sorted(set(given) - set(defaults))
        if unknown:
            raise StudyError(f"pruning '{method}' has no option '{unknown[0]}'; it has {', '.join(defaults)}.")
        return defaults | given

    def calibration_rows(self, value: Any) -> int:
        """Training rows whose inputs the method looks at."""
        return value.get("calibration", 0)

    def change_config(self, value: Any, config: Any) -> None:
        """Channels that are cut out make the model narrower."""
        if value["method"] == "structured":
            structured.change_config(value, config)

    def transform_weights(self, value: Any, checkpoint: Checkpoint, notes: dict[str, Any]) -> None:
        """Prune, and compare what was removed with the checkpoint as it is stored."""
        if not checkpoint.linear:
            raise UnsupportedError(
                f"pruning '{value['method']}' prunes linear layers, and this '{checkpoint.config.model_type}' model "
                "has none outside its head."
            )
        if checkpoint.unreached is not None:
            raise UnsupportedError(
                f"pruning '{value['method']}' prunes linear layers, and this '{checkpoint.config.model_type}' model "
                f"keeps other weights too, in {checkpoint.unreached}, which would stay as they are."
            )
        method = METHODS[value["method"]]
        details = method.prune(value, checkpoint)
        order = method.check_order(value, checkpoint, details)
        if value["method"] != "structured" and not order.removed_weights:
            raise UnsupportedError(_nothing_removed(value, checkpoint, order.zeros_before))
        notes["pruning"] = details | {"order": order}

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """Zeros, shapes and bytes of the weights that were run, read back from the loaded modules of all processes."""
        here, layer_sparsity = _count(value, loaded)
        everywhere = Counts(*_over_all_ranks(vars(here), loaded))
        facts = {
            "method": value["method"],
            "sparsity": everywhere.zeros / everywhere.weights if everywhere.weights else 0.0,
            "zero_weights": int(everywhere.zeros),
            "linear_weights": int(everywhere.weights),
            "stored_bytes": int(everywhere.stored_bytes),
            "layer_sparsity": layer_sparsity,
        }
        if value["method"] == "structured":
            facts |= _channels(value, loaded, everywhere)
        else:
            _check_zeros(value, loaded, facts, everywhere)
        return facts | _followed(value, loaded)


@dataclass
class Counts:
    """Sums over the linear layers of one process, or of all.

    Attributes:
        zeros: weights that are zero.
        weights: weights there are.
        zeros_asked: weights that the settings ask to be zero (not whole where a layer is split).
        channel_weights: weights of the feed-forward layers whose channels can be cut.
        stored_bytes: bytes that the layers occupy, quantisation scales included.
    """

    zeros: float = 0
    weights: float = 0
    zeros_asked: float = 0
    channel_weights: float = 0
    stored_bytes: float = 0


def _count(value: dict[str, Any], loaded: Loaded) -> tuple[Counts, dict[str, float]]:
    """Sums over this process's linear layers, and the share of zeros in what it holds of each."""
    from scripts.runtime.tensors import module_bytes

    counts, sparsity = Counts(), {}
    layers = linear_layers(loaded.model)
    for name, module in layers.items():
        weight = stored_weight(module)
        zeros = weight.numel() - int(weight.count_nonzero())
        counts.zeros += zeros
        counts.weights += weight.numel()
        sparsity[name] = zeros / max(weight.numel(), 1)
        if value["method"] == "structured":
            cut = name.endswith((*structured.ROWS, structured.COLUMNS))
            counts.channel_weights += weight.numel() if cut else 0
        else:
            # The widths are the whole layer's, also where this process holds a shard of it.
            share = METHODS[value["method"]].zero_share(value, *widths(module))
            counts.zeros_asked += share * weight.numel()
    counts.stored_bytes = module_bytes(*layers.values())
    return counts, sparsity


def _nothing_removed(value: dict[str, Any], checkpoint: Checkpoint, zeros: int) -> str:
    """Why no weight that was not zero has become zero."""
    total = sum(checkpoint.weights[name].numel() for name in checkpoint.linear)
    if zeros:
        return (
            f"pruning to {value['amount']:.1%} zeros removes nothing here: {zeros / total:.1%} of the checkpoint's "
            "linear weights are zero already; raise pruning.amount, or choose a model that is not pruned."
        )
    return (
        f"pruning.amount of {value['amount']:g} is less than one of {total} linear weights, or of a row of them, so "
        "that nothing is removed; raise it."
    )


def _over_all_ranks(counts: dict[str, float], loaded: Loaded) -> list[float]:
    """Sums over the process group: each rank holds a shard or a stage of the weights."""
    if loaded.process.world_size == 1:
        return list(counts.values())
    import torch

    sums = torch.tensor(list(counts.values()), dtype=torch.float64, device=loaded.process.device)
    torch.distributed.all_reduce(sums)
    return sums.tolist()


def _check_zeros(value: dict[str, Any], loaded: Loaded, facts: dict[str, Any], counts: Counts) -> None:
    """As many zeros as were asked for; quantisation rounds some more weights to zero."""
    asked = round(counts.zeros_asked)
    if not counts.weights:
        raise EvidenceError(f"pruning asks for '{value['method']}', but the loaded model has no linear layers.")
    if counts.zeros < asked:
        raise EvidenceError(
            f"pruning asks for {value['amount']:.0%} zeros, but the loaded weights have {facts['sparsity']:.1%}."
        )
    order = loaded.notes.get("pruning", {}).get("order")
    before = order.zeros_before if order is not None else 0
    if not loaded.facets.get("quantization") and counts.zeros > max(asked, before):
        raise EvidenceError(
            f"pruning asks for {asked} zeros, but {int(counts.zeros)} of the loaded weights are zero, and only "
            f"{before} of them were before."
        )


def _channels(value: dict[str, Any], loaded: Loaded, counts: Counts) -> dict[str, Any]:
    """Channels of each layer before and after, by the checkpoint's configuration and the loaded shapes."""
    config = loaded.notes["checkpoint_config"]
    asked = kept_channels(config.intermediate_size, value["amount"])
    left, shapes = {}, {}
    for name, module in linear_layers(loaded.model).items():
        if name.endswith((*structured.ROWS, structured.COLUMNS)):
            left[name] = module.in_features if name.endswith(structured.COLUMNS) else module.out_features
            shapes[name] = list(stored_shape(module))
    wrong = [name for name, channels in left.items() if channels != asked]
    # Shards and stages of all processes together, so that a shape that is only written down doesn't do.
    whole = 3 * asked * config.hidden_size * config.num_hidden_layers
    if wrong or not left or counts.channel_weights != whole:
        raise EvidenceError(
            f"pruning asks for {asked} of {config.intermediate_size} channels a layer, but "
            + (f"{wrong[0]} has {left[wrong[0]]}." if wrong else f"{counts.channel_weights:.0f} weights are left.")
        )
    return {
        "channels_before": config.intermediate_size,
        "channels_after": asked,
        "removed_share": 1 - asked / config.intermediate_size,
        "channels": {
            name.removesuffix(f".{structured.COLUMNS}"): {"before": config.intermediate_size, "after": channels}
            for name, channels in left.items()
            if name.endswith(structured.COLUMNS)
        },
        "shapes": shapes,
    }


def _followed(value: dict[str, Any], loaded: Loaded) -> dict[str, Any]:
    """The criterion's own facts: that the smallest scores were removed, and nothing else was changed."""
    notes = loaded.notes.get("pruning")
    if notes is None:
        raise EvidenceError(f"pruning asks for '{value['method']}', but the checkpoint was not pruned.")
    order = notes["order"]
    if order.disordered_groups or order.changed_weights:
        raise EvidenceError(
            f"pruning asks for '{value['method']}', but {order.disordered_groups} of {order.groups} groups lost a "
            f"larger score than they kept, and {order.changed_weights} kept weights were changed."
        )
    facts: dict[str, Any] = {"criterion": order.facts()}
    if value["method"] == "wanda":
        facts |= {"calibration_rows": notes["rows"], "calibration_tokens": notes["tokens"]}
        if all(bool((norms == norms[0]).all()) for norms in notes["norms"].values()):
            raise EvidenceError("pruning asks for 'wanda', but all input norms are equal.")
    return facts


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
        return module.matrix.shape
    state = getattr(module.weight, "quant_state", None)
    return state.shape if state is not None else stored_weight(module).shape


def _listed(names: Any) -> str:
    *most, last = (f"'{name}'" for name in names)
    return f"{', '.join(most)} or {last}"


FACET = Pruning()
