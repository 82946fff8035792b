"""Stock ``generate`` with its static cache, and with its own compilation where there is a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.models.libraries import COMPILER
from scripts.runtime.compiles import compiled_graphs
from scripts.runtime.errors import EvidenceError
from scripts.techniques.engine.base import EngineMethod

if TYPE_CHECKING:
    from scripts.runtime.generation import Observation
    from scripts.runtime.models import Loaded


class TransformersStatic(EngineMethod):
    """transformers' static cache; it compiles the forward by itself on a GPU."""

    cache_class = "StaticCache"
    draws = True

    def libraries(self, value: Any) -> tuple[str, ...]:
        """The compiler, which transformers tells of its cache."""
        return (COMPILER,)

    def generation_options(self, value: Any, loaded: Loaded) -> dict[str, Any]:
        """The static cache."""
        return {"cache_implementation": "static"}

    def reserved_options(self, value: Any, loaded: Loaded, positions: int) -> dict[str, Any]:
        """The static cache's maximum length, so that it is compiled once.

        The cache is reused between requests, since a CUDA graph is bound to its memory addresses.
        """
        loaded.notes["static_positions"] = positions
        loaded.notes["static_caches"] = _keep_static_caches(loaded.model)
        return {"max_cache_len": positions}

    def compiles_shapes(self, value: Any) -> bool:
        """transformers compiles the decode step with its static cache."""
        return True

    def facts(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """What was compiled, and the caches that were kept."""
        return {
            "compiled_graphs": compiled_graphs(),
            "cache_positions": _static_positions(loaded, seen.cache),
            "caches": len(loaded.notes["static_caches"]),
        }


def _keep_static_caches(model: Any) -> dict[tuple[int, int], Any]:
    """Make ``generate`` reuse its static caches; returns them by batch size and positions."""
    make = model._prepare_static_cache
    kept: dict[tuple[int, int], Any] = {}

    def prepare(*arguments: Any, **options: Any) -> Any:
        shape = options["batch_size"], options["max_cache_len"]
        if shape in kept:
            kept[shape].reset()
        else:
            kept[shape] = make(*arguments, **options)
        return kept[shape]

    model._prepare_static_cache = prepare
    return kept


def _static_positions(loaded: Loaded, cache: Any) -> int:
    """Positions of transformers' static cache; a layer with a sliding window has fewer than the others."""
    positions = max(layer.keys.shape[-2] for layer in cache.layers)
    reserved = loaded.notes["static_positions"]
    if positions != reserved and not any(getattr(layer, "is_sliding", False) for layer in cache.layers):
        raise EvidenceError(
            f"engine 'transformers_static' reserves a cache of {reserved} positions, but generation used {positions}."
        )
    return positions


METHOD = TransformersStatic()
