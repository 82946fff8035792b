"""Facet ``kv_cache``: keep the keys and values of past tokens (``dynamic``), or recompute them (``none``)."""

from __future__ import annotations

from typing import Any

from scripts.foundation.errors import StudyError
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.generation import ContinuousBatchTrace, Observation
from scripts.runtime.models import Loaded
from scripts.techniques.facet import Facet


class KVCache(Facet):
    """``none``: every step runs the whole sequence. ``dynamic``: transformers' DynamicCache, one new token a step."""

    name = "kv_cache"
    order = 40

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """A technique must say which; speculation verifies its draft against the cache."""
        if value not in ("none", "dynamic"):
            raise StudyError(f"kv_cache is {value!r}; use 'none' or 'dynamic'.")
        if value == "none" and facets.get("speculation"):
            raise StudyError("kv_cache 'none' does not compose with speculation; use kv_cache: dynamic.")

    def generation_options(self, value: Any, loaded: Loaded) -> dict[str, Any]:
        """``use_cache`` set explicitly, whatever the checkpoint's own generation settings say."""
        return {"use_cache": value == "dynamic"}

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """The cache's class and length, and how many tokens each forward call was given."""
        if seen.trace is not None:
            return _trace_evidence(seen, seen.trace)
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
        # The last token is never fed back, so it never enters the cache.
        if facts["cache_length_tokens"] < seen.prompt_tokens + seen.new_tokens - 1:
            raise EvidenceError(
                f"kv_cache is 'dynamic', but the cache holds {facts['cache_length_tokens']} of "
                f"{seen.prompt_tokens + seen.new_tokens - 1} tokens."
            )
        if not loaded.facets.get("speculation") and any(length != 1 for length in seen.forward_lengths[1:]):
            raise EvidenceError("kv_cache is 'dynamic', but a decode step was given more than one token.")
        alone = all(other is None for name, other in loaded.facets.items() if name not in ("model", "kv_cache"))
        if alone and loaded.notes.get("longest_headline_tokens") == 1:
            raise UnsupportedError(
                "kv_cache 'dynamic': every headline ended with its first token, so that nothing was ever read from "
                "the cache; raise generation.max_new_tokens, or choose a model that writes more."
            )
        return facts


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
