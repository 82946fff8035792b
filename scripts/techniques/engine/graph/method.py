"""The project's decode loop: a static cache and fused operations.

On a GPU every step is captured once as a CUDA graph and replayed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from scripts.foundation.errors import StudyError
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.techniques.engine.base import EngineMethod

if TYPE_CHECKING:
    from scripts.runtime.generation import Generator, Observation
    from scripts.runtime.models import Loaded
    from scripts.runtime.place import Place
    from scripts.runtime.serving import Batching

SMALLEST_PREFILL = 16
MAX_PROPOSED = 15  # its attention takes 16 tokens of a request in one step


class Graph(EngineMethod):
    """Steps without an operator call from Python."""

    defaults: ClassVar[dict[str, Any]] = {"shared_prefix": False, "slots": None, "prefill_tokens": 2048}
    cache_class = "StaticCache"
    alone = False
    forces_acceptance = True
    runs_micro_batches = True
    draws = True

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """It verifies few tokens at a time."""
        super().check(value, facets)
        slots, prefill = value["slots"], value["prefill_tokens"]
        if slots is not None and (type(slots) is not int or slots < 1):
            raise StudyError(f"engine.slots is {slots!r}; give a whole number from 1, or null.")
        if type(prefill) is not int or prefill < SMALLEST_PREFILL:
            raise StudyError(f"engine.prefill_tokens is {prefill!r}; give a whole number from {SMALLEST_PREFILL}.")
        speculation = facets.get("speculation") or {}
        proposed = speculation.get("tokens") or speculation.get("prompt_lookup") or 0
        if proposed > MAX_PROPOSED:
            raise StudyError(
                f"speculation proposes {proposed} tokens at a time, but engine '{value['name']}' verifies at most "
                f"{MAX_PROPOSED}; propose fewer."
            )

    def check_model(self, value: Any, config: Any) -> None:
        """It is written for some architectures."""
        from scripts.engine import family

        family.check(config)

    def check_machine(self, value: Any, place: Place) -> None:
        """Its kernels are Triton's."""
        from importlib.util import find_spec

        if place.device == "cuda" and find_spec("triton") is None:
            raise UnsupportedError("The graph engine's kernels need Triton on a GPU, and it is not installed.")

    def check_prompts(self, value: Any, prompts: list[str]) -> None:
        """A prefix is shared by several prompts."""
        if value["shared_prefix"] and len(set(prompts)) == 1:
            raise UnsupportedError(
                "engine.shared_prefix reads what different prompts have in common, but there is only one prompt."
            )

    def generator(self, value: Any, loaded: Loaded, pad: int) -> Generator:
        """The loop of one process, of one with a proposer, or of a group's rank."""
        shared = value["shared_prefix"]
        if loaded.facets.get("speculation"):
            from scripts.engine.speculation import SpeculativeEngine

            return SpeculativeEngine(loaded, loaded.facets["speculation"], shared_prefix=shared, pad=pad)
        if loaded.facets.get("parallel"):
            from scripts.engine.group import group_engine

            return group_engine(loaded, loaded.facets["parallel"], shared_prefix=shared, pad=pad)
        from scripts.engine.engine import GraphEngine

        return GraphEngine(loaded, shared_prefix=shared, pad=pad)

    def check_served(self, value: Any, facets: dict[str, Any]) -> None:
        """Requests that join a running batch are run by one process, a token at a time, each with its whole prompt."""
        for other in ("speculation", "parallel"):
            if facets.get(other):
                raise UnsupportedError(f"Engine 'graph' does not serve requests as they come with {other}.")
        if value["shared_prefix"]:
            raise UnsupportedError(
                "Engine 'graph' does not serve requests as they come with shared_prefix, whose prompts must be known."
            )

    def batching(self, value: Any, loaded: Loaded, pad: int, slots: int | None) -> Batching:
        """Continuous batching."""
        from scripts.engine.continuous import GraphBatching

        return GraphBatching(loaded, pad=pad, slots=slots or value["slots"], prefill_tokens=value["prefill_tokens"])

    def facts(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """Captured graphs; none may be captured while samples are timed."""
        facts = loaded.generator.facts()
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


METHOD = Graph()
