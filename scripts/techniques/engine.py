"""Facet ``engine``: what runs the model from token to token.

``transformers`` is stock ``generate``. ``transformers_static`` is the same with its static cache, and with its own
compilation where there is a GPU. ``graph`` is the project's decode loop: a static cache, fused operations, and, on a
GPU, every step recorded once as a CUDA graph and started again by a single call.
"""

from __future__ import annotations

from typing import Any

from scripts.foundation.errors import StudyError
from scripts.techniques.facet import EvidenceError, Facet, Generator, Loaded, Observation

DEFAULTS: dict[str, dict[str, Any]] = {
    "transformers_static": {"name": "transformers_static"},
    "graph": {"name": "graph", "shared_prefix": False},
}


class Engine(Facet):
    """``transformers | transformers_static | graph``, or an object with ``name`` and its options."""

    name = "engine"

    def resolve(self, value: Any) -> Any:
        """Spell out the shorthand; stock ``generate`` switches the facet off."""
        given = value if isinstance(value, dict) else {"name": value}
        name = given.get("name")
        if name in (None, "transformers") and len(given) == 1:
            return None
        if name not in DEFAULTS:
            raise StudyError(f"engine {name!r} does not exist; use 'transformers', 'transformers_static' or 'graph'.")
        unknown = sorted(set(given) - set(DEFAULTS[name]))
        if unknown:
            raise StudyError(f"engine '{name}' has no option '{unknown[0]}'; it has {', '.join(DEFAULTS[name])}.")
        return DEFAULTS[name] | given

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """Both engines other than stock ``generate`` keep a cache."""
        if facets["kv_cache"] == "none":
            raise StudyError(f"engine '{value['name']}' does not compose with kv_cache 'none'; use kv_cache: dynamic.")
        if value["name"] == "transformers_static":
            for other in ("speculation", "parallel"):
                if facets.get(other):
                    raise StudyError(
                        f"engine 'transformers_static' does not compose with {other}; remove one of the two facets."
                    )

    def generation_options(self, value: Any, loaded: Loaded) -> dict[str, Any]:
        """transformers' static cache; it compiles the forward by itself on a GPU."""
        return {"cache_implementation": "static"} if value["name"] == "transformers_static" else {}

    def generator(self, value: Any, loaded: Loaded, pad: int) -> Generator | None:
        """The decode loop that takes the place of ``generate``."""
        if value["name"] != "graph":
            return None
        speculation = loaded.facets.get("speculation")
        if speculation:
            from scripts.engine.speculation import SpeculativeEngine

            return SpeculativeEngine(loaded, speculation, shared_prefix=value["shared_prefix"], pad=pad)
        if loaded.facets.get("parallel"):
            from scripts.engine.group import group_engine

            return group_engine(loaded, loaded.facets["parallel"], shared_prefix=value["shared_prefix"], pad=pad)
        from scripts.engine.engine import GraphEngine

        return GraphEngine(loaded, shared_prefix=value["shared_prefix"], pad=pad)

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """The cache's form; of the project's loop, what was recorded, and that nothing was while samples were timed."""
        cache = type(seen.cache).__name__
        if cache != "StaticCache":
            raise EvidenceError(f"engine '{value['name']}' keeps a StaticCache, but generation used a {cache}.")
        facts: dict[str, Any] = {"name": value["name"], "cache_class": cache}
        if value["name"] == "transformers_static":
            compiled = hasattr(loaded.model, "_compiled_call") and loaded.process.device.type == "cuda"
            return facts | {"compiled": compiled}
        facts |= loaded.generator.facts()
        if facts["recorded_while_timed"]:
            raise EvidenceError(f"engine 'graph' recorded {facts['recorded_while_timed']} steps while it was timed.")
        if loaded.process.device.type == "cuda":
            if not facts["device_graphs"]:
                raise EvidenceError("engine 'graph' recorded no CUDA graph.")
            if facts["device_allocations_per_batch"]:
                raise EvidenceError(
                    f"engine 'graph' allocated device memory {facts['device_allocations_per_batch']} times in a batch."
                )
        return facts


FACET = Engine()
