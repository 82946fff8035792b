"""4-bit weights: a scale and a minimum for 64 columns, rounded to nearest (as in GPTQ; Frantar et al., 2023).

4-bit weights of a checkpoint (AWQ, GPTQ, compressed-tensors) are stored as they are, not rounded again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.hardware.widths import INT4_GROUP
from scripts.models.packed import forms
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
    takes_steps = True

    def check_model(self, value: Any, config: Any) -> None:
        """A checkpoint's own 4-bit groups must be whole ones of this layout: rounding them again would cost more."""
        form = forms.of_config(config)
        problem = form.int4_problem() if form is not None and form.has_steps else None
        if problem:
            raise UnsupportedError(
                f"The checkpoint's 4-bit weights ({form.label}) don't fit 4-bit layers here: {problem}; without "
                "quantization they are read dequantised."
            )

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
