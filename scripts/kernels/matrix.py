"""A linear layer's weight in the form in which it is stored and read: dense, or weight-only quantised.

``int8`` and ``fp8`` have one scale a row (symmetric, by the row's largest absolute value); ``int4`` has a scale and a
minimum for each group of 64 columns, rounded to nearest (as GPTQ's baseline; Frantar et al., 2023).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from scripts.hardware.widths import INT4_GROUP as GROUP

LARGEST = {"int8": 127.0, "fp8": 448.0}  # the largest value of int8 used, and of float8 e4m3
KINDS = ("dense", "int8", "int4", "fp8")


@dataclass
class Matrix:
    """A weight [N, K]; ``x W^T`` maps K numbers to N.

    Attributes:
        kind: ``dense``, ``int8``, ``int4``, ``fp8`` or ``modules``.
        data: dense: model dtype [N, K]; int8, fp8: [N, K]; int4: uint8 [N, K/2], byte j of a row holds column j in its
            low half and column j + K/2 in its high half.
        scales: int8, fp8: float32 [N]; int4: model dtype [N, K/64].
        minima: int4: model dtype [N, K/64].
        bias: model dtype [N], or None.
        modules: of kind ``modules``: layers whose outputs are concatenated.
    """

    kind: str
    data: torch.Tensor | None = None
    scales: torch.Tensor | None = None
    minima: torch.Tensor | None = None
    bias: torch.Tensor | None = None
    modules: list[torch.nn.Module] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, int]:
        """N and K."""
        if self.kind == "modules":
            return sum(module.out_features for module in self.modules), self.modules[0].in_features
        rows, columns = self.data.shape
        return rows, 2 * columns if self.kind == "int4" else columns

    @property
    def nbytes(self) -> int:
        """Bytes that are stored, and read once for a product."""
        if self.kind == "modules":
            return sum(_stored(module) for module in self.modules)
        parts = (self.data, self.scales, self.minima, self.bias)
        return sum(part.numel() * part.element_size() for part in parts if part is not None)

    def dense(self, dtype: torch.dtype) -> torch.Tensor:
        """The dequantised weight, [N, K]."""
        if self.kind == "dense":
            return self.data.to(dtype)
        if self.kind == "int4":
            low, high = self.data & 15, self.data >> 4
            steps = torch.cat([low, high], dim=1).view(self.data.shape[0], -1, GROUP)  # [N, K/64, 64]
            weight = steps * self.scales.float()[..., None] + self.minima.float()[..., None]
            return weight.flatten(1).to(dtype)
        return (self.data.float() * self.scales[:, None]).to(dtype)


def _stored(module: torch.nn.Module) -> int:
    from scripts.runtime.tensors import module_bytes

    return module_bytes(module)


def quantize(weight: torch.Tensor, kind: str) -> Matrix:
    """Store a weight [N, K] in another form; of ``int4`` K must be a multiple of 128."""
    if kind == "dense":
        return Matrix("dense", weight)
    values = weight.float()
    if kind == "int4":
        grouped = values.view(len(values), -1, GROUP)
        lowest, highest = grouped.amin(dim=-1), grouped.amax(dim=-1)  # [N, K/64]
        # As they are stored: what is rounded must be what is multiplied by later.
        scales = ((highest - lowest) / 15).clamp(min=1e-8).to(weight.dtype)
        minima = lowest.to(weight.dtype)
        steps = ((grouped - minima.float()[..., None]) / scales.float()[..., None]).round().clamp(0, 15)
        return of_steps(steps.to(torch.uint8).flatten(1), scales, minima)
    scales = (values.abs().amax(dim=1) / LARGEST[kind]).clamp(min=1e-12)
    scaled = values / scales[:, None]
    data = scaled.round().to(torch.int8) if kind == "int8" else scaled.to(torch.float8_e4m3fn)
    return Matrix(kind, data, scales)


def of_steps(steps: torch.Tensor, scales: torch.Tensor, minima: torch.Tensor) -> Matrix:
    """A 4-bit weight of its steps, uint8 [N, K], with a scale and a minimum for each group of 64 columns, [N, K/64]."""
    half = steps.shape[1] // 2
    return Matrix("int4", (steps[:, :half] | (steps[:, half:] << 4)).contiguous(), scales, minima)


def concatenated(matrices: list[Matrix]) -> Matrix:
    """The matrices' rows one below the other; of one kind, or all taken as modules."""
    first = matrices[0]
    if first.kind == "modules":
        return Matrix("modules", modules=[module for matrix in matrices for module in matrix.modules])

    def joined(name: str) -> torch.Tensor | None:
        parts = [getattr(matrix, name) for matrix in matrices]
        return None if parts[0] is None else torch.cat(parts)

    return Matrix(first.kind, joined("data"), joined("scales"), joined("minima"), joined("bias"))
