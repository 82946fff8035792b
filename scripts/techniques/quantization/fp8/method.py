"""float8 e4m3 weights (Micikevicius et al., 2022) with a scale a row.

GPUs multiply few rows in the model's type and many in fp8, each input row scaled by itself; a CPU only stores weights
so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.runtime.errors import UnsupportedError
from scripts.techniques.quantization.weight_only import WeightOnlyMethod

if TYPE_CHECKING:
    from scripts.runtime.place import Place

CAPABILITY = (8, 9)


class FP8(WeightOnlyMethod):
    """A byte a weight, and a float32 scale a row."""

    matrix_kind = "fp8"
    stored = "float8_e4m3fn"
    largest_error = 0.0625  # a half step is at most 1/16 of a number
    quantized_inputs = ("float8_e4m3fn", 0.02)  # tensor cores sum such products in fewer bits

    def check_machine(self, value: Any, place: Place) -> None:
        """Its products of many rows need tensor cores for fp8."""
        if place.capability is not None and place.capability < CAPABILITY:
            raise UnsupportedError(
                f"fp8 weights need a GPU of compute capability {_version(CAPABILITY)} or above; this one has "
                f"{_version(place.capability)}."
            )


def _version(capability: tuple[int, int]) -> str:
    return ".".join(map(str, capability))


METHOD = FP8()
