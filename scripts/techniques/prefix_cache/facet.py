"""Facet ``prefix_cache``: under stock ``generate``, read the tokens that all prompts begin with once.

Their keys and values are computed before anything is timed. Each batch gets a copy of them, made inside its time, and
its prompts' first forward is given only what follows (prompt caching; Gim et al., 2023, arXiv:2311.04934).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from scripts.foundation.errors import StudyError
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.prefixes import common_prefix
from scripts.runtime.timing import synchronise
from scripts.techniques.facet import Facet

if TYPE_CHECKING:
    from scripts.runtime.generation import Observation, SampleRecorder
    from scripts.runtime.models import Loaded


class PrefixCache(Facet):
    """``true`` or ``false``."""

    name = "prefix_cache"
    order = 45
    reads_prompts = True

    def resolve(self, value: Any) -> Any:
        """``false`` switches the facet off."""
        return None if value is False else value

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """It hands a cache to stock ``generate``, which keeps it; other loops have ways of their own."""
        if value is not True:
            raise StudyError(f"prefix_cache is {value!r}; use true or false.")
        if facets["kv_cache"] == "none":
            raise StudyError("prefix_cache does not compose with kv_cache 'none'; use kv_cache: dynamic.")
        if isinstance(facets["kv_cache"], dict):
            raise StudyError("prefix_cache does not compose with a quantised kv_cache; use kv_cache: dynamic.")
        engine = (facets.get("engine") or {}).get("name")
        if engine == "graph":
            raise StudyError(
                "prefix_cache does not compose with engine 'graph', which shares prefixes by itself; remove it, and "
                "set engine: {name: graph, shared_prefix: true}."
            )
        for other, given in (("engine", engine), ("speculation", None), ("parallel", None)):
            if facets.get(other):
                what = f"{other} '{given}'" if given else other
                raise StudyError(f"prefix_cache does not compose with {what}; remove one of the two facets.")
        if facets.get("attention") == "flash_attention_2" and facets.get("batch_size"):
            raise StudyError(
                "prefix_cache does not compose with attention 'flash_attention_2' in batches, whose padding stands "
                "behind the prefix; remove one of attention and batch_size."
            )

    def check_prompts(self, value: Any, prompts: list[str]) -> None:
        """A prefix is shared by several prompts."""
        if len(set(prompts)) == 1:
            raise UnsupportedError(
                "prefix_cache reads once what different prompts have in common, but there is only one prompt."
            )

    def read_prompts(self, value: Any, loaded: Loaded, prompts: list[list[int]]) -> None:
        """Compute the prefix's keys and values, and let each batch begin with a copy of them."""
        from scripts.techniques.prefix_cache import prefix

        shared = common_prefix(prompts)
        if not shared:
            raise UnsupportedError("prefix_cache finds nothing to share: the prompts begin with other tokens.")
        began = time.perf_counter()
        kept = prefix.Prefix(loaded, shared, batched=bool(loaded.facets.get("batch_size")))
        synchronise(loaded.process.device)
        loaded.notes["prefix"] = kept
        loaded.notes["prefix_read_s"] = time.perf_counter() - began
        loaded.batch_inputs = kept.inputs

    def recorder(self, value: Any, loaded: Loaded) -> SampleRecorder:
        """Counts what the first forward of each timed request was not given."""
        from scripts.techniques.prefix_cache.prefix import FirstForward

        loaded.notes["first_forward"] = FirstForward(loaded.model)
        return loaded.notes["first_forward"]

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """Tokens and bytes of the kept prefix, and what first forwards were given: timed, and of the observed batch."""
        kept, first = loaded.notes["prefix"], loaded.notes["first_forward"]
        tokens, given = kept.tokens, seen.forward_lengths[0]
        if first.skipped != {tokens} or given != seen.prompt_tokens - tokens:
            skipped = ", ".join(map(str, sorted(first.skipped))) or "none"
            raise EvidenceError(
                f"prefix_cache keeps {tokens} tokens, but first forwards left out {skipped} of their prompts' tokens, "
                f"and that of the observed batch was given {given} of {seen.prompt_tokens}."
            )
        return {
            "prefix_tokens": tokens,
            "prefix_bytes": kept.bytes,
            "read_s": loaded.notes["prefix_read_s"],
            "first_forwards": first.count,
            "first_forward_tokens": [first.least, first.most],
            "observed_prompt_tokens": seen.prompt_tokens,
            "observed_first_forward_tokens": given,
        }


FACET = PrefixCache()
