"""The linear layer of the weight-only methods. It needs torch at import, and so is imported only where layers are."""

from __future__ import annotations

import torch

from scripts.hardware.widths import INT4_GROUP
from scripts.kernels import matrix as matrices
from scripts.kernels import operations
from scripts.kernels.matrix import Matrix, quantize
from scripts.models.packed.tensors import Steps

PARTS = ("data", "scales", "minima", "bias")


class WeightOnlyLinear(torch.nn.Linear):
    """A linear layer whose weight is stored as a ``Matrix``; what goes in and out is of the model's dtype.

    The matrix's tensors are buffers, so that they are counted and moved as those of any other layer. ``matrix`` reads
    them, and sets them, as where layers are fused and each becomes a view of the whole.

    Args:
        matrix: the stored weight [N, K], with its bias.
    """

    def __init__(self, matrix: Matrix) -> None:
        torch.nn.Module.__init__(self)  # no dense weight is made
        self.out_features, self.in_features = matrix.shape
        self.kind = matrix.kind
        self.register_parameter("weight", None)
        for name in PARTS:
            self.register_buffer(name, getattr(matrix, name))

    @property
    def matrix(self) -> Matrix:
        """The stored weight; a change of it must be set again to be kept."""
        return Matrix(self.kind, self.data, self.scales, self.minima, self.bias)

    @matrix.setter
    def matrix(self, matrix: Matrix) -> None:
        self.kind = matrix.kind
        for name in PARTS:
            setattr(self, name, getattr(matrix, name))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., K] -> [..., N]."""
        flat = x.reshape(-1, x.shape[-1])
        return operations(x.device).linear(flat, self.matrix).view(*x.shape[:-1], -1)

    def expanded(self) -> torch.Tensor:
        """The weight in float32, [N, K]; a zero where zero itself is no step of its group, but its step is the nearest.

        Groups of ``int4`` begin at their own minimum, so that a weight that was zero is stored as a small number.
        """
        matrix = self.matrix
        weight = matrix.dense(torch.float32)
        if matrix.kind != "int4":
            return weight
        half_steps = matrix.scales.float().repeat_interleave(weight.shape[1] // matrix.scales.shape[1], dim=1) / 2
        return weight.masked_fill(weight.abs() <= half_steps * 1.001, 0.0)

    def first_row(self) -> torch.Tensor:
        """The first row of the weight as it is stored, in float32, [K]."""
        parts = [None if part is None else part[:1] for part in (self.data, self.scales, self.minima)]
        return Matrix(self.kind, *parts).dense(torch.float32)[0]


def quantised(weight: torch.Tensor, bias: torch.Tensor | None, kind: str) -> WeightOnlyLinear:
    """A layer of a dense weight [N, K], or of a shard of one, stored as ``kind``."""
    matrix = quantize(weight.contiguous(), kind)
    matrix.bias = bias
    return WeightOnlyLinear(matrix).eval()


def of_checkpoint(
    stored: Steps, bias: torch.Tensor | None, dtype: torch.dtype, device: torch.device,
    part: tuple[int, int, int] | None = None,
) -> WeightOnlyLinear:  # fmt: skip
    """A layer of the 4-bit steps that a checkpoint stores, whose groups are whole ones of 64 neighbours.

    A minimum is -zero scale. Scales keep the type in which they are stored, where it is as small as the model's.

    Args:
        stored: the weight [N, K].
        bias: of what this process holds.
        dtype: of the model.
        device: where the layer is to be.
        part: the dimension that is split over processes, this one's rank, and how many there are; None of a whole.
    """
    scales, steps = stored.scales, stored.steps
    minima = -stored.zeros.float() * scales.float()
    kept = scales.dtype if scales.is_floating_point() and scales.dtype.itemsize == dtype.itemsize else dtype
    times = steps.shape[1] // INT4_GROUP // scales.shape[1]
    parts = [steps, *(each.to(kept).repeat_interleave(times, dim=1) for each in (scales, minima))]
    if part is not None:
        dimension, rank, count = part
        # Copied, since a part would keep the whole in memory.
        parts = [each.tensor_split(count, dim=dimension)[rank].clone() for each in parts]
    matrix = matrices.of_steps(*(each.to(device).contiguous() for each in parts))
    matrix.bias = bias
    return WeightOnlyLinear(matrix).eval()
