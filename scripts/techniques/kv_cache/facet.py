"""Facet ``kv_cache``: keep the keys and values of past tokens (``dynamic``), or recompute them (``none``).

``{dtype: int8 | int4 | fp8}`` keeps them quantised, in transformers' QuantizedCache: int8 and int4 in groups with a
scale and a zero point by half-quadratic quantisation (HQQ; Badri and Shaji, 2023), new tokens in the model's dtype
until there are ``residual_tokens`` of them, as in KIVI (Liu et al., 2024); fp8 in E4M3 with one scale for a layer's
keys and one for its values. Engine ``graph`` has a cache of its own in int8 or fp8, with a scale for each token and
head.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from scripts.foundation.errors import StudyError
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.generation import ContinuousBatchTrace, Observation
from scripts.runtime.models import Loaded
from scripts.runtime.place import Place
from scripts.techniques.facet import Facet
from scripts.techniques.kv_cache import cache as quantised
from scripts.techniques.kv_cache import static
from scripts.techniques.kv_cache.groups import BITS, SCALES, TOKEN_AND_HEAD, scaled_by_token

FP8 = "fp8"
PACKAGE = "hqq"
OF_GROUPS = {"group_size": None, "residual_tokens": 128}
GRAPH = "graph"


class KVCache(Facet):
    """``none``: every step runs the whole sequence. ``dynamic``: one new token a step. An object: so, quantised."""

    name = "kv_cache"
    order = 40

    def resolve(self, value: Any) -> Any:
        """Fill in the options of a quantised cache; fp8 has none."""
        if not isinstance(value, dict) or value.get("dtype") not in BITS:
            return value
        options = {} if value["dtype"] == FP8 else OF_GROUPS
        unknown = sorted(set(value) - {"dtype", *options})
        if unknown:
            raise StudyError(f"kv_cache in {value['dtype']} has no option '{unknown[0]}'; remove it.")
        return options | value

    def settle(self, value: Any, facets: dict[str, Any]) -> Any:
        """Under engine ``graph`` there are no groups: the value says so in place of their options."""
        if not isinstance(value, dict) or value.get("dtype") not in BITS or _engine(facets) != GRAPH:
            return value
        # One that is left out, or set to its default, asks for nothing.
        asked = sorted(name for name, default in OF_GROUPS.items() if value.get(name, default) != default)
        if asked:
            raise StudyError(
                f"kv_cache in {value['dtype']} has no option '{asked[0]}' under engine 'graph', which keeps a scale "
                "for each token and head; remove it."
            )
        return {"dtype": value["dtype"], SCALES: TOKEN_AND_HEAD}

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """A technique must say which; speculation verifies its draft against the cache."""
        if isinstance(value, dict) and value.get("dtype") in BITS:
            return _check_quantised(value, facets)
        if value not in ("none", "dynamic"):
            raise StudyError(f"kv_cache is {value!r}; use 'none' or 'dynamic', or {{dtype: int8, int4 or fp8}}.")
        if value == "none" and facets.get("speculation"):
            raise StudyError("kv_cache 'none' does not compose with speculation; use kv_cache: dynamic.")

    def check_machine(self, value: Any, place: Place) -> None:
        """Groups are quantised by a package that is not among the pinned ones."""
        if self.libraries(value) and find_spec(PACKAGE) is None:
            raise UnsupportedError(
                f"kv_cache in {value['dtype']} needs the package {PACKAGE}, which is not installed; install it with "
                "DISABLE_CUDA=1 pip install -r envs/requirements-kv-cache.txt, or use dtype: fp8."
            )

    def check_model(self, value: Any, config: Any) -> None:
        """transformers quantises the cache of full attention alone, and whole groups; the graph engine that of any."""
        if isinstance(value, dict) and not scaled_by_token(value):
            quantised.check_model(value, config)

    def libraries(self, value: Any) -> tuple[str, ...]:
        """What quantises groups."""
        grouped = isinstance(value, dict) and value["dtype"] != FP8 and not scaled_by_token(value)
        return (PACKAGE,) if grouped else ()

    def generation_options(self, value: Any, loaded: Loaded) -> dict[str, Any]:
        """``use_cache`` set explicitly, whatever the checkpoint's own generation settings say; the quantised cache."""
        if scaled_by_token(value):
            return {"use_cache": True}
        if isinstance(value, dict):
            return {"use_cache": True} | quantised.options(value, loaded.model.config)
        return {"use_cache": value == "dynamic"}

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """The cache's class and length, and how many tokens each forward call was given."""
        if seen.trace is not None:
            return _trace_evidence(seen, seen.trace) | self._quantised(value, loaded, seen)
        facts: dict[str, Any] = {
            "cache_class": type(seen.cache).__name__ if seen.cache is not None else None,
            "cache_length_tokens": _length(seen.cache) if seen.cache else 0,
            "longest_step_tokens": max(seen.forward_lengths[1:], default=0),
            "forward_calls": len(seen.forward_lengths),
        }
        if value == "none":
            grows = all(length == seen.prompt_tokens + step for step, length in enumerate(seen.forward_lengths))
            if seen.cache is not None or not grows:
                raise EvidenceError("kv_cache is 'none', but generation kept a cache.")
            return facts
        # An engine of its own says which cache it keeps.
        if getattr(seen.cache, "is_compileable", False) and not loaded.facets.get("engine"):
            raise EvidenceError(f"kv_cache is 'dynamic', but generation used a {facts['cache_class']} of fixed size.")
        asked = "quantised" if isinstance(value, dict) else "'dynamic'"
        # The last token is never fed back, so it never enters the cache.
        if facts["cache_length_tokens"] < seen.prompt_tokens + seen.new_tokens - 1:
            raise EvidenceError(
                f"kv_cache is {asked}, but the cache holds {facts['cache_length_tokens']} of "
                f"{seen.prompt_tokens + seen.new_tokens - 1} tokens."
            )
        if not loaded.facets.get("speculation") and any(length != 1 for length in seen.forward_lengths[1:]):
            raise EvidenceError(f"kv_cache is {asked}, but a decode step was given more than one token.")
        if isinstance(value, dict):
            return facts | self._quantised(value, loaded, seen)
        alone = all(other is None for name, other in loaded.facets.items() if name not in ("model", "kv_cache"))
        if alone and loaded.notes.get("longest_headline_tokens") == 1:
            raise UnsupportedError(
                "kv_cache 'dynamic': every headline ended with its first token, so that nothing was ever read from "
                "the cache; raise generation.max_new_tokens, or choose a model that writes more."
            )
        return facts

    @staticmethod
    def _quantised(value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """Bits, scales and bytes of a quantised cache; nothing of another."""
        if not isinstance(value, dict):
            return {}
        if scaled_by_token(value):
            return static.facts(value, seen)
        return quantised.facts(value, loaded, seen.cache)


def _engine(facets: dict[str, Any]) -> str | None:
    return (facets.get("engine") or {}).get("name")


def _check_quantised(value: dict[str, Any], facets: dict[str, Any]) -> None:
    """Engine ``graph`` has its own; else stock ``generate`` in one process makes it, and nothing takes tokens back."""
    engine = _engine(facets)
    if engine == GRAPH:
        if value["dtype"] not in static.STORED:
            raise StudyError(
                f"kv_cache in {value['dtype']} does not compose with engine 'graph', whose cache is in int8 or fp8; "
                "use one of them."
            )
        return
    if engine:
        raise StudyError(
            f"kv_cache in {value['dtype']} does not compose with engine '{engine}', whose cache is its own; use "
            "engine: graph or transformers, or kv_cache: dynamic."
        )
    for other in ("speculation", "parallel"):
        if facets.get(other):
            raise StudyError(
                f"kv_cache in {value['dtype']} does not compose with {other} under transformers' generate; use engine: "
                "graph, or kv_cache: dynamic."
            )


def _trace_evidence(seen: Observation, trace: ContinuousBatchTrace) -> dict[str, Any]:
    """Under continuous batching: each token but a request's last passes the model once."""
    facts = {
        "cache_class": type(seen.cache).__name__,
        "tokens_given": sum(map(sum, trace.given)),
        "tokens_to_give": sum(seen.prompt_lengths) + sum(trace.generated) - seen.requests,
        "forward_calls": len(trace.given),
    }
    if facts["tokens_given"] != facts["tokens_to_give"]:
        raise EvidenceError(
            f"kv_cache is 'dynamic', but the model was given {facts['tokens_given']} tokens where "
            f"{facts['tokens_to_give']} pass it once."
        )
    return facts


def _length(cache: Any) -> int:
    """Tokens whose keys and values the cache holds.

    Raises:
        UnsupportedError: it holds neither.
    """
    try:
        return int(cache.get_seq_length(_owned_layer(cache)))
    except ValueError:  # of transformers, where no layer attends
        raise UnsupportedError(
            "kv_cache 'dynamic': this model keeps a recurrent state, and no keys and values; use kv_cache: none, or "
            "choose another model."
        ) from None


def _owned_layer(cache: Any) -> int:
    """A layer whose cache is filled: a pipeline stage fills only those of its own layers."""
    for index in range(len(cache)):
        if cache.get_seq_length(index) > 0:
            return index
    return 0


FACET = KVCache()
