"""4-bit weights: a scale and a minimum for 64 columns, rounded to nearest (as in GPTQ; Frantar et al., 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.hardware.widths import INT4_GROUP
from scripts.runtime.errors import UnsupportedError
from scripts.techniques.quantization.weight_only import WeightOnlyMethod

if TYPE_CHECKING:
    from scripts.runtime.place import Place

WIDTH = 2 * INT4_GROUP  # columns come in pairs of groups


class Int4WeightOnly(WeightOnlyMethod):
    """Half a byte a weight, and a scale and a minimum of the model's dtype a group."""

    matrix_kind = "int4"
    stored = "uint8"
    largest_error = 0.3  # it depends on how far a group's largest weight stands out

    def check_shapes(self, value: Any, shapes: dict[str, tuple[int, int]], place: Place) -> None:
        """Groups must fill the rows."""
        for name, (_, width) in shapes.items():
            if width % WIDTH:
                raise UnsupportedError(
                    f"int4 weights need layers whose width is a multiple of {WIDTH}; {name} is {width} wide here."
                )

    def analytic_bytes(self, rows: int, columns: int, size: int) -> int:
        """Half a byte a weight, and two numbers a group."""
        return rows * columns // 2 + rows * (columns // INT4_GROUP) * 2 * size

    def layout(self) -> dict[str, Any]:
        """Shards have widths of their own, but are groups of as many columns."""
        return {"group_size": INT4_GROUP}


METHOD = Int4WeightOnly()
