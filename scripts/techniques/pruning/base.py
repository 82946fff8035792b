"""Base class of pruning methods: prunes a checkpoint, checks it against the stored one, counts zeros after loading."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.layers import linear_layers, stored_weight
from scripts.runtime.tensors import module_bytes
from scripts.techniques.methods import Method

if TYPE_CHECKING:
    import torch

    from scripts.runtime.generation import Observation
    from scripts.runtime.models import Checkpoint, Loaded
    from scripts.techniques.pruning.order import Order


@dataclass
class Counts:
    """Sums over the linear layers of one process, or of all.

    Attributes:
        zeros: weights that are zero.
        weights: weights there are.
        counted: what the method counts: weights that must be zero, or weights of the layers that it cuts (not whole
            where a layer is split over processes).
        stored_bytes: bytes that the layers occupy, quantisation scales included.
    """

    zeros: float = 0
    weights: float = 0
    counted: float = 0
    stored_bytes: float = 0

    @property
    def sparsity(self) -> float:
        """Share of the weights that are zero."""
        return self.zeros / self.weights if self.weights else 0.0


class PruningMethod(Method, ABC):
    """A criterion by which weights are removed."""

    @abstractmethod
    def prune(self, value: dict[str, Any], checkpoint: Checkpoint) -> dict[str, Any]:
        """Change the checkpoint's tensors; returns what the check needs.

        Raises:
            UnsupportedError: the model is of another form than the method works on.
        """

    @abstractmethod
    def check_order(self, value: dict[str, Any], checkpoint: Checkpoint, details: dict[str, Any]) -> Order:
        """Check against the stored checkpoint that the weights with the smallest scores were removed."""

    @abstractmethod
    def counted(self, value: dict[str, Any], name: str, layer: torch.nn.Module, weights: int) -> float:
        """What a layer of which this process holds so many weights adds to :attr:`Counts.counted`."""

    @abstractmethod
    def check_counts(self, value: dict[str, Any], loaded: Loaded, counts: Counts) -> dict[str, Any]:
        """Check the counts of all processes against the settings; returns further facts.

        Raises:
            EvidenceError: the loaded weights are not pruned as was asked.
        """

    def refuse_no_effect(self, value: dict[str, Any], checkpoint: Checkpoint, order: Order) -> None:
        """Refuse a checkpoint that the method does not change.

        Raises:
            UnsupportedError: a sentence that says why nothing is removed.
        """

    def calibration_rows(self, value: Any) -> int:
        """Training rows whose inputs the method looks at."""
        return value.get("calibration", 0)

    def transform_weights(self, value: Any, checkpoint: Checkpoint, notes: dict[str, Any]) -> None:
        """Prune, and compare what was removed with the checkpoint as it is stored."""
        about = f"pruning '{value['method']}' prunes linear layers, and this '{checkpoint.config.model_type}' model"
        if not checkpoint.linear:
            raise UnsupportedError(f"{about} has none outside its head.")
        if checkpoint.stacked_weights is not None:
            raise UnsupportedError(
                f"{about} keeps other weights too, in {checkpoint.stacked_weights}, which would stay as they are."
            )
        details = self.prune(value, checkpoint)
        order = self.check_order(value, checkpoint, details)
        self.refuse_no_effect(value, checkpoint, order)
        notes["pruning"] = details | {"order": order}

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """Zeros, shapes and bytes of the weights that were run, read back from the loaded modules of all processes."""
        here, layer_sparsity = self._count(value, loaded)
        everywhere = Counts(*_over_all_ranks(vars(here), loaded))
        facts = {
            "method": value["method"],
            "sparsity": everywhere.sparsity,
            "zero_weights": int(everywhere.zeros),
            "linear_weights": int(everywhere.weights),
            "stored_bytes": int(everywhere.stored_bytes),
            "layer_sparsity": layer_sparsity,
        }
        facts |= self.check_counts(value, loaded, everywhere)
        notes = loaded.notes.get("pruning")
        if notes is None:
            raise EvidenceError(f"pruning asks for '{value['method']}', but the checkpoint was not pruned.")
        order = notes["order"]
        if order.disordered_groups or order.changed_weights:
            raise EvidenceError(
                f"pruning asks for '{value['method']}', but {order.disordered_groups} of {order.groups} groups lost a "
                f"larger score than they kept, and {order.changed_weights} kept weights were changed."
            )
        return facts | {"criterion": order.facts()} | self.facts(notes)

    def facts(self, notes: dict[str, Any]) -> dict[str, Any]:
        """Facts of the criterion, from what :meth:`prune` returned.

        Raises:
            EvidenceError: they contradict the method.
        """
        return {}

    def _count(self, value: dict[str, Any], loaded: Loaded) -> tuple[Counts, dict[str, float]]:
        """Sums over this process's linear layers, and the share of zeros in what it holds of each."""
        counts, sparsity = Counts(), {}
        layers = linear_layers(loaded.model)
        for name, module in layers.items():
            weight = stored_weight(module)
            zeros = weight.numel() - int(weight.count_nonzero())
            counts.zeros += zeros
            counts.weights += weight.numel()
            sparsity[name] = zeros / max(weight.numel(), 1)
            counts.counted += self.counted(value, name, module, weight.numel())
        counts.stored_bytes = module_bytes(*layers.values())
        return counts, sparsity


def _over_all_ranks(counts: dict[str, float], loaded: Loaded) -> list[float]:
    """Sums over the process group: each rank holds a shard or a stage of the weights."""
    if loaded.process.world_size == 1:
        return list(counts.values())
    import torch

    sums = torch.tensor(list(counts.values()), dtype=torch.float64, device=loaded.process.device)
    torch.distributed.all_reduce(sums)
    return sums.tolist()
