"""How facets change a model's bytes and operations: the cost of one facet, and of a whole technique."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Architecture = dict[str, Any]


@dataclass(frozen=True)
class Matrix:
    """A linear layer's weight [rows, columns]; ``row_wise`` is split over its columns by tensor parallelism."""

    rows: int
    columns: int
    row_wise: bool = False
    bias: bool = False

    @property
    def weights(self) -> int:
        """Number of weights."""
        return self.rows * self.columns

    def shard(self, ranks: int) -> Matrix:
        """The shard of one rank."""
        if self.row_wise:
            return Matrix(self.rows, self.columns // ranks, True, self.bias)
        return Matrix(self.rows // ranks, self.columns, False, self.bias)

    def bias_bytes(self, size: int) -> int:
        """Bytes of its bias, of ``size`` bytes a number."""
        return self.rows * size if self.bias else 0


@dataclass(frozen=True)
class Layout:
    """Degrees of tensor parallelism (each layer is split) and of pipeline parallelism (layers are distributed)."""

    tensor: int = 1
    stages: int = 1


class Cost:
    """Cost of a facet or of one of its methods; by default it changes neither bytes nor operations.

    Attributes:
        lossless: whether changing this facet alone must leave every token the same.
    """

    lossless = False

    def changes_tokens(self, value: Any, difference: dict[str, Any]) -> bool:
        """Whether, with this facet on, changing those (lossless) facets changes tokens."""
        return False

    def architecture(self, value: Any, architecture: Architecture) -> Architecture:
        """The model's shape with the facet applied."""
        return architecture

    def matrix_bytes(self, value: Any, matrix: Matrix, size: int, repacked: bool) -> int | None:
        """Bytes of a linear layer, bias included; None if the facet leaves it in the model's dtype.

        Args:
            value: the facet's settings.
            matrix: the layer's shape.
            size: bytes of the model's dtype.
            repacked: whether the library repacked the weights for this processor.
        """
        return None

    def layout(self, value: Any) -> Layout | None:
        """How the model is distributed over devices, if the facet decides it."""
        return None

    def keeps_cache(self, value: Any) -> bool | None:
        """Whether there is a KV cache, if the facet decides it."""
        return None

    def position_bytes(self, value: Any, architecture: Architecture, size: int) -> float | None:
        """Bytes of one token's keys and values over all layers; None if the facet leaves them in the model's dtype.

        Args:
            value: the facet's settings.
            architecture: the model's shape.
            size: bytes of the model's dtype.
        """
        return None

    def not_counted(self, value: Any) -> str | None:
        """Why the operations and bytes of a batch can't be counted from its lengths; None where they can."""
        return None


@dataclass(frozen=True)
class Costs:
    """Costs of a technique's facets in the order they are applied, each with the facet's settings.

    Attributes:
        parts: the costs; none of a plain model without a cache.
        draft: those of the second model's facets.
    """

    parts: tuple[tuple[Cost, Any], ...] = ()
    draft: Costs | None = field(default=None)

    def architecture(self, architecture: Architecture) -> Architecture:
        """The shape that is run."""
        for cost, value in self.parts:
            architecture = cost.architecture(value, architecture)
        return architecture

    def matrix_bytes(self, matrix: Matrix, size: int, repacked: bool = False) -> int:
        """Bytes of one linear layer as it is stored."""
        plain = matrix.weights * size + matrix.bias_bytes(size)
        return self._first("matrix_bytes", matrix, size, repacked, default=plain)

    @property
    def layout(self) -> Layout:
        """How the model is distributed over devices."""
        return self._first("layout", default=Layout())

    @property
    def keeps_cache(self) -> bool:
        """Whether there is a KV cache."""
        return self._first("keeps_cache", default=False)

    def position_bytes(self, architecture: Architecture, size: int) -> float | None:
        """Bytes of one token's keys and values where a facet stores them otherwise than in the model's dtype."""
        return self._first("position_bytes", architecture, size, default=None)

    @property
    def not_counted(self) -> str | None:
        """Why a batch's work can't be counted, if it can't."""
        return self._first("not_counted", default=None)

    def _first(self, what: str, *arguments: Any, default: Any) -> Any:
        found = (getattr(cost, what)(value, *arguments) for cost, value in self.parts)
        return next((each for each in found if each is not None), default)
