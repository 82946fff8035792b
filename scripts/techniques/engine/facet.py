"""Facet ``engine``: what runs the model from token to token.

``transformers`` is stock ``generate``. ``transformers_static`` is the same with its static cache, and with its own
compilation where there is a GPU. ``transformers_continuous`` is its continuous batching: of the requests of a batch, as
many as there are slots are under way, and the next one begins as soon as one has ended. ``graph`` is the project's
decode loop: a static cache, fused operations, and, on a GPU, every step recorded once as a CUDA graph and started again
by a single call.
"""

from __future__ import annotations

from typing import Any

from scripts.foundation.errors import StudyError
from scripts.runtime.compiles import compiled_graphs
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.generation import ContinuousBatchTrace, Generator, Observation
from scripts.runtime.models import Loaded
from scripts.techniques.facet import Facet

DEFAULTS: dict[str, dict[str, Any]] = {
    "transformers_static": {"name": "transformers_static"},
    "transformers_continuous": {"name": "transformers_continuous", "slots": 8},
    "graph": {"name": "graph", "shared_prefix": False},
}


class Engine(Facet):
    """A name, ``transformers`` or one of :data:`DEFAULTS`, or an object with ``name`` and its options."""

    name = "engine"

    def resolve(self, value: Any) -> Any:
        """Spell out the shorthand; stock ``generate`` switches the facet off."""
        given = value if isinstance(value, dict) else {"name": value}
        name = given.get("name")
        if name in (None, "transformers") and len(given) == 1:
            return None
        if name not in DEFAULTS:
            raise StudyError(
                f"engine {name!r} does not exist; use 'transformers', 'transformers_static', 'transformers_continuous' "
                "or 'graph'."
            )
        unknown = sorted(set(given) - set(DEFAULTS[name]))
        if unknown:
            raise StudyError(f"engine '{name}' has no option '{unknown[0]}'; it has {', '.join(DEFAULTS[name])}.")
        return DEFAULTS[name] | given

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """Every engine other than stock ``generate`` keeps a cache; those of transformers run on their own."""
        if facets["kv_cache"] == "none":
            raise StudyError(f"engine '{value['name']}' does not compose with kv_cache 'none'; use kv_cache: dynamic.")
        if value["name"] != "graph":
            for other in ("speculation", "parallel"):
                if facets.get(other):
                    raise StudyError(
                        f"engine '{value['name']}' does not compose with {other}; remove one of the two facets."
                    )
        if value["name"] == "transformers_continuous":
            # With one, requests would only take turns.
            if type(value["slots"]) is not int or value["slots"] < 2:
                raise StudyError(f"engine.slots is {value['slots']!r}; give a whole number from 2.")
            if facets.get("batch_size") is None:
                raise StudyError(
                    "engine 'transformers_continuous' serves requests that are handed over together; set batch_size "
                    "to 2 or more."
                )

    def generation_options(self, value: Any, loaded: Loaded) -> dict[str, Any]:
        """transformers' static cache; it compiles the forward by itself on a GPU."""
        return {"cache_implementation": "static"} if value["name"] == "transformers_static" else {}

    def reserved_options(self, value: Any, loaded: Loaded, positions: int) -> dict[str, Any]:
        """The static cache's greatest length from the start: a longer one would be compiled for again.

        It is also kept from request to request, since a CUDA graph holds for the addresses that it was recorded with.
        """
        if value["name"] != "transformers_static":
            return {}
        loaded.notes["static_positions"] = positions
        loaded.notes["static_caches"] = _keep_static_caches(loaded.model)
        return {"max_cache_len": positions}

    def compiles_shapes(self, value: Any) -> bool:
        """transformers compiles the decode step with its static cache; the other engines record when they reserve."""
        return value["name"] == "transformers_static"

    def generator(self, value: Any, loaded: Loaded, pad: int) -> Generator | None:
        """What takes the place of ``generate``."""
        if value["name"] == "transformers_continuous":
            from scripts.techniques.engine.transformers_continuous.loop import ContinuousEngine

            return ContinuousEngine(loaded, slots=value["slots"], pad=pad)
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
        """The cache's form; of the project's loop, what was recorded, and that nothing was while samples were timed.

        Of continuous batching, how many requests each forward was given.
        """
        cache = type(seen.cache).__name__
        if value["name"] == "transformers_continuous":
            return _continuous_evidence(value["slots"], cache, loaded, seen.trace)
        if cache != "StaticCache":
            raise EvidenceError(f"engine '{value['name']}' keeps a StaticCache, but generation used a {cache}.")
        facts: dict[str, Any] = {"name": value["name"], "cache_class": cache}
        if value["name"] == "transformers_static":
            return facts | {
                "compiled_graphs": compiled_graphs(),
                "cache_positions": _static_positions(loaded, seen.cache),
                "caches": len(loaded.notes["static_caches"]),
            }
        facts |= loaded.generator.facts()
        if value["shared_prefix"] and not facts["prefix_tokens"]:
            raise UnsupportedError("engine.shared_prefix finds nothing to share: the prompts begin with other tokens.")
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


def _continuous_evidence(slots: int, cache: str, loaded: Loaded, trace: ContinuousBatchTrace | None) -> dict[str, Any]:
    """The pages and the forwards of transformers' continuous batching."""
    engine = "engine 'transformers_continuous'"
    if cache != "PagedAttentionCache":
        raise EvidenceError(f"{engine} keeps a PagedAttentionCache, but generation used a {cache}.")
    if trace is None or not trace.given:
        raise EvidenceError(f"{engine} was not seen to run the model.")
    most = max(map(len, trace.given))
    if most > slots:
        raise EvidenceError(f"{engine} has {slots} slots, but {most} requests were under way together.")
    facts = loaded.generator.facts()
    if facts["threads"] != facts["threads_asked"]:
        raise EvidenceError(
            f"{engine} ran the model with {facts['threads']} CPU threads instead of {facts['threads_asked']}."
        )
    # Forwards that read prompts alone say nothing of how full the slots were kept.
    steps = [len(tokens) for tokens in trace.given if min(tokens) == 1]
    return {
        "name": "transformers_continuous",
        "cache_class": cache,
        **facts,
        "forwards": len(trace.given),
        "most_sequences": most,
        "mean_sequences_per_step": sum(steps) / len(steps) if steps else None,
    }


def _keep_static_caches(model: Any) -> dict[tuple[int, int], Any]:
    """Let ``generate`` take up its last static cache again; caches by number of requests and positions."""
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


FACET = Engine()
