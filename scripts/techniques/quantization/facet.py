"""Facet ``quantization``: the linear layers' weights in 8 or 4 bits. Embeddings and output head stay as they are.

``int8`` and ``nf4`` are bitsandbytes' methods. ``int8_weight_only``, ``int4_weight_only`` and ``fp8`` store the weights
smaller, with kernels of the project's own on a GPU.
"""

from __future__ import annotations

from typing import Any

from scripts.foundation.errors import StudyError
from scripts.runtime.generation import Observation
from scripts.runtime.models import Loaded, Process
from scripts.techniques.facet import Facet
from scripts.techniques.quantization import bitsandbytes, weight_only

METHODS = {name: module for module in (bitsandbytes, weight_only) for name in module.DEFAULTS}


class Quantization(Facet):
    """``none``, a method, or an object with ``method`` and its options."""

    name = "quantization"

    def resolve(self, value: Any) -> Any:
        """Spell out the shorthand and fill in the method's defaults."""
        if value in (None, "none"):
            return None
        given = value if isinstance(value, dict) else {"method": value}
        method = given.get("method")
        if method not in METHODS:
            *most, last = (f"'{name}'" for name in METHODS)
            raise StudyError(f"quantization method {method!r} does not exist; use 'none', {', '.join(most)} or {last}.")
        defaults = METHODS[method].DEFAULTS[method]
        unknown = sorted(set(given) - set(defaults))
        if unknown:
            raise StudyError(f"quantization '{method}' has no option '{unknown[0]}'; it has {', '.join(defaults)}.")
        return defaults | given

    def libraries(self, value: Any) -> tuple[str, ...]:
        """Those of the method."""
        return METHODS[value["method"]].LIBRARIES

    def load_options(self, value: Any, process: Process, facets: dict[str, Any]) -> dict[str, Any]:
        """What makes ``from_pretrained`` quantise, where the method does it there."""
        return METHODS[value["method"]].load_options(value, process, facets)

    def after_load(self, value: Any, loaded: Loaded) -> None:
        """Quantise what ``from_pretrained`` has loaded, where the method does it then."""
        METHODS[value["method"]].after_load(value, loaded)

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """How many linear layers are quantised, as what class, with what settings and bytes."""
        return METHODS[value["method"]].evidence(value, loaded, seen)


FACET = Quantization()
