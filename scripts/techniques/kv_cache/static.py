"""The graph engine's quantised cache: what its tensors must be, and what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.runtime.caches import held, quantised
from scripts.runtime.errors import EvidenceError

if TYPE_CHECKING:
    from scripts.runtime.generation import Observation

STORED = {"fp8": "float8_e4m3fn", "int8": "int8"}


def facts(value: dict[str, Any], seen: Observation) -> dict[str, Any]:
    """Dtype, bits, scales and bytes, from the cache's tensors after the observed batch.

    Raises:
        EvidenceError: they are not what was asked, or what should be in the cache was never written with a scale.
    """
    cache, asked = seen.cache, STORED[value["dtype"]]
    parts = [quantised(layer, name) for layer in cache.layers for name in ("keys", "values")]
    types = sorted({str(part.numbers.dtype).removeprefix("torch.") for part in parts if part})
    if types != [asked] or not all(parts):
        kept = ", ".join(types) or "the model's dtype"
        raise EvidenceError(f"kv_cache is in {value['dtype']}, but the graph engine kept {kept}.")
    sizes = {part.numbers.numel() / part.scales for part in parts}
    width = parts[0].shape[-1]
    if sizes != {width}:
        raise EvidenceError(
            f"kv_cache has a scale for each token and head of {width} numbers, but {sorted(sizes)} share one."
        )
    # The last token is never fed back, so it never enters the cache.
    given = max(seen.prompt_lengths) + seen.new_tokens - 1 if seen.trace is None else max(seen.prompt_lengths)
    filled = min(int((part.beside[0] > 0).sum(-1).max()) for part in parts)
    if filled < given:
        raise EvidenceError(f"kv_cache is in {value['dtype']}, but the cache has scales of {filled} of {given} tokens.")
    found = held(cache)
    whole = sum(part.numbers.numel() for part in parts) * cache.model_dtype.itemsize
    return {
        "bits": 8 * parts[0].numbers.itemsize,
        "group_size": width,
        "stored_dtype": asked,
        "scale_dtype": str(parts[0].beside[0].dtype).removeprefix("torch."),
        "cache_bytes": found.bytes,
        "cache_bytes_in_model_dtype": whole,
    }
