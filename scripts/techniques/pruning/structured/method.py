"""Structured pruning: feed-forward channels with small weights are cut out, so that the tensors themselves shrink.

A channel is a row of gate_proj, the same row of up_proj and the same column of down_proj, which only work together
(the coupled structure of LLM-Pruner; Ma et al., 2023). Its score is the L2 norm of these weights together, after the
filter norms of Li et al. (2017): no data and no gradient is needed. Every layer loses equally many channels, since a
transformers configuration has one ``intermediate_size``. No fine-tuning follows.

What is kept is rounded as ``scripts.hardware.widths`` says: the share removed may differ from ``amount``, and the
evidence reports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from scripts.hardware.widths import kept_channels
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.layers import linear_layers, stored_shape
from scripts.techniques.pruning.base import Counts, PruningMethod
from scripts.techniques.pruning.order import Order

if TYPE_CHECKING:
    import torch

    from scripts.runtime.models import Checkpoint, Loaded


ROWS, COLUMNS = ("gate_proj", "up_proj"), "down_proj"


def feed_forwards(linear: list[str], config: Any) -> list[str]:
    """Names of the feed-forward blocks, one a layer, such as ``model.layers.0.mlp``.

    Raises:
        UnsupportedError: the blocks are of another form.
    """
    known = set(linear)
    blocks = [name.removesuffix(f".{COLUMNS}.weight") for name in linear if name.endswith(f".{COLUMNS}.weight")]
    whole = all(f"{block}.{row}.weight" in known for block in blocks for row in ROWS)
    if not whole or len(blocks) != config.num_hidden_layers:
        raise UnsupportedError(
            "pruning 'structured' cuts layers of gate_proj, up_proj and down_proj; the "
            f"'{config.model_type}' model is built otherwise."
        )
    return blocks


def channel_scores(weights: list[torch.Tensor]) -> torch.Tensor:
    """L2 norm of each channel's weights, float32 [channels], of gate and up [channels, in] and down [out, channels]."""
    gate, up, down = (weight.float() for weight in weights)
    return (gate.square().sum(1) + up.square().sum(1) + down.square().sum(0)).sqrt()


def _cut_tensors(block: str, weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    """What each of the block's tensors keeps; biases of gate and up go with their rows."""
    cuts = {f"{block}.{name}.{part}": _rows for name in ROWS for part in ("weight", "bias")}
    return {name: cut for name, cut in (cuts | {f"{block}.{COLUMNS}.weight": _columns}).items() if name in weights}


def _rows(tensor: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    return tensor[kept]


def _columns(tensor: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    return tensor[:, kept].contiguous()


class Structured(PruningMethod):
    """Whole feed-forward channels, so that the layers become narrower."""

    defaults: ClassVar[dict[str, Any]] = {"amount": 0.3}

    def change_config(self, value: dict[str, Any], config: Any) -> None:
        """Set ``intermediate_size`` to what is kept."""
        width = getattr(config, "intermediate_size", None)
        if not isinstance(width, int):
            raise UnsupportedError(
                f"pruning 'structured' needs layers of one intermediate_size; the '{config.model_type}' model has "
                f"{'none' if width is None else width}."
            )
        if width < 2:
            raise UnsupportedError("pruning 'structured' cuts channels out, and the model has one channel a layer.")
        config.intermediate_size = kept_channels(width, value["amount"])

    def prune(self, value: dict[str, Any], checkpoint: Checkpoint) -> dict[str, Any]:
        """Replace the feed-forward weights by narrower ones; returns the channels kept, ascending, by block."""
        kept: dict[str, torch.Tensor] = {}
        for block in feed_forwards(checkpoint.linear, checkpoint.config):
            scores = channel_scores([checkpoint.weights[f"{block}.{name}.weight"] for name in (*ROWS, COLUMNS)])
            number = kept_channels(len(scores), value["amount"])
            # Stable: among equal scores the first channels go.
            kept[block] = scores.sort(stable=True).indices[len(scores) - number :].sort().values
            for name, cut in _cut_tensors(block, checkpoint.weights).items():
                checkpoint.weights[name] = cut(checkpoint.weights[name], kept[block])
        return {"kept": kept}

    def check_order(self, value: dict[str, Any], checkpoint: Checkpoint, details: dict[str, Any]) -> Order:
        """Compare the channels that are left with the stored ones' scores, layer by layer."""
        import torch

        order = Order()
        for block, kept in details["kept"].items():
            before = {name: checkpoint.read(f"{block}.{name}.weight") for name in (*ROWS, COLUMNS)}
            scores = channel_scores(list(before.values()))
            left = torch.zeros(len(scores), dtype=torch.bool)
            left[kept] = True
            order.add(scores[None], left[None])
            for name, weight in before.items():
                cut = _columns(weight, kept) if name == COLUMNS else _rows(weight, kept)
                after = checkpoint.weights[f"{block}.{name}.weight"]
                order.changed_weights += int((after != cut).sum()) if after.shape == cut.shape else after.numel()
        return order

    def counted(self, value: dict[str, Any], name: str, layer: torch.nn.Module, weights: int) -> float:
        """The weights of the layers that channels are cut from."""
        return weights if name.endswith((*ROWS, COLUMNS)) else 0

    def check_counts(self, value: dict[str, Any], loaded: Loaded, counts: Counts) -> dict[str, Any]:
        """Channels of each layer before and after, by the checkpoint's configuration and the loaded shapes."""
        config = loaded.notes["checkpoint_config"]
        before, asked = config.intermediate_size, kept_channels(config.intermediate_size, value["amount"])
        layers = {name: each for name, each in linear_layers(loaded.model).items() if name.endswith((*ROWS, COLUMNS))}
        left = {
            name: layer.in_features if name.endswith(COLUMNS) else layer.out_features for name, layer in layers.items()
        }
        wrong = [name for name, channels in left.items() if channels != asked]
        # Shards and stages of all processes together, so that a shape that is only written down doesn't do.
        whole = 3 * asked * config.hidden_size * config.num_hidden_layers
        if wrong or not left or counts.counted != whole:
            raise EvidenceError(
                f"pruning asks for {asked} of {before} channels a layer, but "
                + (f"{wrong[0]} has {left[wrong[0]]}." if wrong else f"{counts.counted:.0f} weights are left.")
            )
        return {
            "channels_before": before,
            "channels_after": asked,
            "removed_share": 1 - asked / before,
            "channels": {
                name.removesuffix(f".{COLUMNS}"): {"before": before, "after": channels}
                for name, channels in left.items()
                if name.endswith(COLUMNS)
            },
            "shapes": {name: list(stored_shape(layer)) for name, layer in layers.items()},
        }


METHOD = Structured()
