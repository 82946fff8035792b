"""A run's process, and the models in it: as a checkpoint's tensors, and as loaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from transformers import PreTrainedModel

    from scripts.runtime.drawing import Sampler
    from scripts.runtime.generation import Generator


@dataclass
class Process:
    """Device, dtype and rank of this process."""

    device: torch.device
    dtype: torch.dtype
    rank: int = 0
    world_size: int = 1


@dataclass
class Checkpoint:
    """A checkpoint's tensors on the CPU, before a model is made of them.

    Attributes:
        weights: every tensor by name, in the process's dtype; changed in place, or replaced by others.
        linear: names of the linear layers' weights, each [out, in], the output head left out.
        transposed: those of them that are [in, out] instead.
        stacked_weights: name of a parameter that stacks matrices (such as experts) outside linear layers, or None.
        config: the checkpoint's own transformers configuration.
        model_class: the class of the model.
        process: device and dtype of this process.
        calibration: token ids of training rows, or None where none were given.
        read: reads one unmodified tensor from the checkpoint.
    """

    weights: dict[str, torch.Tensor]
    linear: list[str]
    config: Any
    model_class: type[PreTrainedModel]
    process: Process
    calibration: list[list[int]] | None
    read: Callable[[str], torch.Tensor]
    transposed: frozenset[str] = frozenset()
    stacked_weights: str | None = None


@dataclass
class Loaded:
    """The models of one run, as loaded, and how they were prepared."""

    model: PreTrainedModel
    process: Process
    facets: dict[str, Any]
    draft: PreTrainedModel | None = None
    companion: Loaded | None = None  # the draft with its own facets and notes
    generator: Generator | None = None  # used instead of ``model.generate``
    # What ``generate`` is given beside or in place of a batch's tokens and mask, made inside the batch's time.
    batch_inputs: Callable[[torch.Tensor, torch.Tensor], dict[str, Any]] | None = None
    sampler: Sampler | None = None  # where answers are drawn
    notes: dict[str, Any] = field(default_factory=dict)
