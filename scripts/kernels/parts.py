"""What describes the parts of a decoder layer to the operations: norms, heads and how they attend, rotary angles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# Of a gated feed-forward layer, as transformers names them: silu, and gelu by its tanh formula or exactly.
SILU, GELU_TANH, GELU = "silu", "gelu_pytorch_tanh", "gelu"
ACTIVATIONS = (SILU, GELU_TANH, GELU)


@dataclass
class Norm:
    """A root-mean-square norm (Zhang and Sennrich, 2019).

    Attributes:
        weight: [K].
        eps: added to the mean square.
        offset: the factor is 1 + weight, applied in float32 before the result is rounded (as Gemma's).
    """

    weight: torch.Tensor
    eps: float
    offset: bool = False


@dataclass(frozen=True)
class Heads:
    """The heads of a layer, and how they attend.

    Attributes:
        query: query heads.
        key_value: key-value heads.
        width: elements of a head.
        scale: factor of the scores; None for width**-0.5.
        window: how many positions a token sees, itself among them; None for all before it.
        cap: scores become cap * tanh(score / cap) (Gemma 2; Riviere et al., 2024); None for as they are.
    """

    query: int
    key_value: int
    width: int
    scale: float | None = None
    window: int | None = None
    cap: float | None = None

    @property
    def score_scale(self) -> float:
        """Factor of the scores."""
        return self.width**-0.5 if self.scale is None else self.scale


@dataclass
class Rope:
    """Angles of the rotary embedding (Su et al., 2021).

    Attributes:
        cos: cosines, scaled, float32 [positions, width]; 1 for elements that are not rotated.
        sin: sines, scaled, float32 [positions, width]; 0 for elements that are not rotated.
        rotated: how many elements of a head are rotated, its first ones; None for all.
    """

    cos: torch.Tensor
    sin: torch.Tensor
    rotated: int | None = None

    @property
    def rotated_width(self) -> int:
        """How many elements of a head are rotated."""
        return self.cos.shape[-1] if self.rotated is None else self.rotated
