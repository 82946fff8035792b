"""Wanda (Sun et al., 2023): weights whose product with their input's norm is smallest become zero.

The score of a weight is its absolute value times the L2 norm of its input feature over all tokens of the calibration
rows; each output row of a layer loses the same share of its weights, and no weight is updated. Transformer blocks are
pruned one after another, each with the inputs that the pruned ones before it give. Calibration rows are prompts with
their headlines from the training rows, each run by itself, so that no padding counts; the paper takes 128 sequences
of 2,048 tokens of web text. In a parallel run every process prunes the whole checkpoint for itself before it is split.
"""

from __future__ import annotations

import copy
import functools
import math
from typing import TYPE_CHECKING, Any, ClassVar

from scripts.foundation.errors import StudyError
from scripts.runtime import positions
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.techniques.pruning.order import Order
from scripts.techniques.pruning.zeros import ZeroingMethod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch

    from scripts.runtime.models import Checkpoint


_PART = 1 << 24  # weights sorted at once


def prune_rows(weight: torch.Tensor, norms: torch.Tensor, amount: float) -> None:
    """Zero in each row of ``weight`` [out, in] the ``round(amount * in)`` smallest |weight| x norm, in place.

    Among equal scores, the first in a row are zeroed.
    """
    count = round(amount * weight.shape[1])
    for part in weight.split(max(1, _PART // weight.shape[1])):
        order = (part.abs().float() * norms).sort(dim=1, stable=True).indices
        part.scatter_(1, order[:, :count], 0)


def _assemble(checkpoint: Checkpoint) -> Any:
    """The model without its head, on the checkpoint's own tensors, not on copies of them."""
    from accelerate import init_empty_weights

    # Tables such as the rotary frequencies are computed, not stored.
    with init_empty_weights(include_buffers=False):
        model = checkpoint.model_class(copy.deepcopy(checkpoint.config))
    model.load_state_dict(checkpoint.weights, strict=False, assign=True)
    base = model.base_model.eval()
    missing = sorted(name for name, tensor in base.named_parameters() if tensor.is_meta)
    if missing:
        raise StudyError(f"the checkpoint lacks {len(missing)} weights, {missing[0]} among them; restore it.")
    return model


def _blocks(model: Any, checkpoint: Checkpoint) -> dict[str, torch.nn.Module]:
    """The transformer blocks by name: those of the model's list of layers, in which all linear layers must stand."""
    import torch

    for prefix, layers in model.named_modules():
        if isinstance(layers, torch.nn.ModuleList):
            blocks = {f"{prefix}.{index}": block for index, block in enumerate(layers)}
            inside = {f"{name}.{own}.weight" for name, block in blocks.items() for own, _ in _linear(block)}
            if inside == set(checkpoint.linear):
                return blocks
    raise UnsupportedError(
        "pruning 'wanda' walks through a model's layers one after another; the "
        f"'{checkpoint.config.model_type}' model is built otherwise."
    )


def _linear(block: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
    import torch
    from transformers.pytorch_utils import Conv1D

    kinds = torch.nn.Linear | Conv1D
    return ((name, module) for name, module in block.named_modules() if isinstance(module, kinds))


def _record_calls(model: Any, blocks: list[Any], rows: list[list[int]]) -> tuple[list[Any], list[list[Any]]]:
    """The first block's input of each row, [1, tokens, hidden], and what each block is given beside it.

    Masks and position tables depend on positions alone, so the blocks need not compute anything for it.
    """
    try:
        return _recorded(model, blocks, rows, in_tuple=False)
    except _OtherOutputError:
        return _recorded(model, blocks, rows, in_tuple=True)


class _OtherOutputError(Exception):
    """The model takes a block's output out of a tuple."""


def _recorded(
    model: Any, blocks: list[Any], rows: list[list[int]], *, in_tuple: bool
) -> tuple[list[Any], list[list[Any]]]:
    import torch

    calls: list[Any] = []
    first: list[torch.Tensor] = []

    def note(hidden: torch.Tensor, *arguments: Any, **options: Any) -> Any:
        if hidden.dim() != 3 and not in_tuple:
            raise _OtherOutputError
        if not calls:
            first.append(hidden)
        calls.append((arguments, options))
        return (hidden,) if in_tuple else hidden

    contexts = []
    for block in blocks:
        block.forward = note
    try:
        for row in rows:
            model.base_model(torch.tensor([row]), use_cache=False)
            contexts.append(list(calls))
            calls.clear()
    finally:
        for block in blocks:
            del block.forward
    return first, contexts


def _run(block: Any, hidden: list[Any], contexts: list[Any]) -> Iterator[torch.Tensor]:
    """The block's output of each row."""
    import torch
    from torch.utils._pytree import tree_map_only

    device = next(block.parameters()).device
    for states, context in zip(hidden, contexts, strict=True):
        arguments, options = tree_map_only(torch.Tensor, lambda tensor: tensor.to(device), context)
        output = block(states.to(device), *arguments, **options)
        yield output if isinstance(output, torch.Tensor) else output[0]


def _input_norms(block: Any, run: Callable[[], Iterator[Any]]) -> dict[str, torch.Tensor]:
    """L2 norm of each input feature of each linear layer over all tokens of all rows, float32 [in]."""

    sums: dict[str, torch.Tensor] = {}

    def add(name: str, module: Any, arguments: Any) -> None:
        squares = arguments[0].flatten(0, -2).float().square().sum(0)  # [in]
        sums[name] = sums[name] + squares if name in sums else squares

    hooks = [layer.register_forward_pre_hook(functools.partial(add, name)) for name, layer in _linear(block)]
    for _ in run():
        pass
    for hook in hooks:
        hook.remove()
    norms = {name: total.sqrt() for name, total in sums.items()}
    if any(not math.isfinite(float(each.sum())) for each in norms.values()):
        raise EvidenceError(
            "pruning 'wanda' computes NaN or infinity in its calibration; check the checkpoint's weights, or use "
            "another dtype, such as bfloat16."
        )
    return norms


class Wanda(ZeroingMethod):
    """The smallest products of a weight with its input's norm, in each output row."""

    defaults: ClassVar[dict[str, Any]] = {"amount": 0.3, "calibration": 32}

    def prune(self, value: dict[str, Any], checkpoint: Checkpoint) -> dict[str, Any]:
        """Zero weights in place; returns the input norms [in] of each linear layer, and the calibration's size.

        Raises:
            UnsupportedError: too few calibration rows, or a model that is not a run of blocks.
        """
        import torch

        rows = [row for row in checkpoint.calibration or [] if row]
        if len(rows) < value["calibration"]:
            raise UnsupportedError(
                f"pruning 'wanda' needs {value['calibration']} training rows for its calibration, but got {len(rows)}; "
                "lower pruning.calibration, or use a data set with training rows."
            )
        most = positions.max_positions(checkpoint.config)
        rows = [row[:most] for row in rows[: value["calibration"]]]
        norms: dict[str, torch.Tensor] = {}
        with torch.no_grad():
            model = _assemble(checkpoint)
            blocks = _blocks(model, checkpoint)
            hidden, contexts = _record_calls(model, list(blocks.values()), rows)
            for index, (prefix, block) in enumerate(blocks.items()):
                block.to(checkpoint.process.device)
                run = functools.partial(_run, block, hidden, [context[index] for context in contexts])
                inputs = _input_norms(block, run)
                for name, layer in _linear(block):
                    stored = f"{prefix}.{name}.weight"
                    weight = layer.weight.T if stored in checkpoint.transposed else layer.weight
                    prune_rows(weight, inputs[name], value["amount"])
                    checkpoint.weights[stored].copy_(layer.weight)
                    norms[stored] = inputs[name].cpu()
                hidden = list(run())
                block.to("meta")
        return {"norms": norms, "rows": len(rows), "tokens": sum(len(row) for row in rows)}

    def check_order(self, value: dict[str, Any], checkpoint: Checkpoint, details: dict[str, Any]) -> Order:
        """Compare the zeros with the scores of the stored weights, row by row."""
        order = Order()
        for name in checkpoint.linear:
            before, after = checkpoint.read(name), checkpoint.weights[name]
            if name in checkpoint.transposed:
                before, after = before.T, after.T
            kept = after != 0
            order.zeros_before += before.numel() - int(before.count_nonzero())
            order.removed_weights += int(((before != 0) & ~kept).sum())
            order.changed_weights += int((after != before)[kept].sum())
            order.add(before.abs().float() * details["norms"][name], kept)
        return order

    def zero_share(self, value: dict[str, Any], out_features: int, in_features: int) -> float:
        """Share of zeros that a layer of that shape must have."""
        return round(value["amount"] * in_features) / in_features

    def facts(self, notes: dict[str, Any]) -> dict[str, Any]:
        """What the input norms were computed of; they can't all be equal."""
        if all(bool((norms == norms[0]).all()) for norms in notes["norms"].values()):
            raise EvidenceError("pruning asks for 'wanda', but all input norms are equal.")
        return {"calibration_rows": notes["rows"], "calibration_tokens": notes["tokens"]}


METHOD = Wanda()
