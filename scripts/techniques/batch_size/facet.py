"""Facet ``batch_size``: serve several requests in one forward.

Prompts are sorted by length, padded on the left to the longest of their batch, and generated together until the last of
them has stopped (static batching). Each weight is then read once for all requests of the batch. Under continuous
batching (``engine: transformers_continuous``) it says how many requests are handed over at once: as many as the engine
has slots share a forward, and the others wait.
"""

from __future__ import annotations

from typing import Any

from scripts.foundation.errors import StudyError
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.generation import ContinuousBatchTrace, Observation
from scripts.runtime.models import Loaded
from scripts.techniques.facet import Facet


class BatchSize(Facet):
    """A whole number of requests; 1 switches the facet off."""

    name = "batch_size"
    order = 70

    def resolve(self, value: Any) -> Any:
        """One request at a time is no batch."""
        return None if value in (None, 1) else value

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """Requests of a batch accept different numbers of drafted tokens, which transformers can't follow."""
        if type(value) is not int or value < 1:
            raise StudyError(f"batch_size is {value!r}; give a whole number from 1.")
        if facets.get("speculation"):
            raise StudyError("batch_size does not compose with speculation; remove one of the two facets.")

    def check_prompts(self, value: Any, prompts: list[str]) -> None:
        """There must be a whole batch of them."""
        if value > len(prompts):
            there = f"there are {len(prompts)} samples" if len(prompts) > 1 else "there is one sample"
            raise UnsupportedError(f"batch_size is {value}, but {there}; raise dataset.samples, or lower batch_size.")

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """Sequences that each forward call was given, and how much of the batch was padding."""
        rows = sorted(set(seen.forward_rows))
        if seen.trace is not None:
            return self._trace_evidence(value, seen, seen.trace, rows)
        padding = seen.requests * seen.prompt_tokens - sum(seen.prompt_lengths)
        facts = {
            "sequences_per_forward": rows,
            "forward_calls": len(seen.forward_rows),
            "padding_share": padding / (seen.requests * seen.prompt_tokens),
            "padding_side": "left" if seen.padded_left else "right",
        }
        # A data set's last batch may be smaller.
        if rows != [seen.requests] or seen.requests > value:
            counts = ", ".join(map(str, rows)) or 0
            raise EvidenceError(f"batch_size is {value}, but {seen.requests} requests were run {counts} at a time.")
        # A loop that keeps each request's own positions may pad on the right.
        if not seen.padded_left and loaded.generator is None:
            raise EvidenceError(f"batch_size is {value}, but prompts were not padded on the left.")
        return facts

    def _trace_evidence(
        self, value: int, seen: Observation, trace: ContinuousBatchTrace, rows: list[int]
    ) -> dict[str, Any]:
        """Under continuous batching: all requests were run, some of them together."""
        answered = sum(count > 0 for count in trace.generated)
        if answered != seen.requests or seen.requests > value:
            raise EvidenceError(f"batch_size is {value}, but {answered} of {seen.requests} requests were run.")
        if min(seen.requests, trace.slots) > 1 and max(rows, default=0) < 2:
            raise EvidenceError(f"batch_size is {value}, but {seen.requests} requests were run one at a time.")
        return {"sequences_per_forward": rows, "forward_calls": len(trace.given)}


FACET = BatchSize()
