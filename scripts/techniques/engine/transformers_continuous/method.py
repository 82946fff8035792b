"""transformers' continuous batching: a request of the batch begins as soon as another has left its slot.

At most ``slots`` requests of a batch are active.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from scripts.foundation.errors import StudyError
from scripts.models.libraries import COMPILER
from scripts.runtime.errors import EvidenceError
from scripts.techniques.engine.base import EngineMethod

if TYPE_CHECKING:
    from scripts.runtime.generation import Generator, Observation
    from scripts.runtime.models import Loaded
    from scripts.runtime.serving import Batching


class TransformersContinuous(EngineMethod):
    """Requests that join and leave between the forwards."""

    defaults: ClassVar[dict[str, Any]] = {"slots": 8}
    cache_class = "PagedAttentionCache"

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """Two slots or more, as requests would else take turns, and requests that are handed over together."""
        super().check(value, facets)
        if type(value["slots"]) is not int or value["slots"] < 2:
            raise StudyError(f"engine.slots is {value['slots']!r}; give a whole number from 2.")
        if facets.get("batch_size") is None:
            raise StudyError(
                f"engine '{value['name']}' serves requests that are handed over together; set batch_size to 2 or more."
            )

    def libraries(self, value: Any) -> tuple[str, ...]:
        """The compiler, which transformers tells of its cache."""
        return (COMPILER,)

    def generator(self, value: Any, loaded: Loaded, pad: int) -> Generator:
        """The loop over transformers' manager of requests."""
        from scripts.techniques.engine.transformers_continuous.loop import ContinuousEngine

        return ContinuousEngine(loaded, slots=value["slots"], pad=pad)

    def check_served(self, value: Any, facets: dict[str, Any]) -> None:
        """It serves requests as they come."""

    def batching(self, value: Any, loaded: Loaded, pad: int, slots: int | None) -> Batching:
        """The loop over transformers' manager, for requests as they come."""
        from scripts.techniques.engine.transformers_continuous.batching import ManagerBatching

        return ManagerBatching(loaded, slots=slots or value["slots"], pad=pad)

    def facts(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """The pages, the threads, and how many requests each forward was given."""
        engine, trace, slots = f"engine '{value['name']}'", seen.trace, value["slots"]
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
        return facts | {
            "forwards": len(trace.given),
            "most_sequences": most,
            "mean_sequences_per_step": sum(steps) / len(steps) if steps else None,
        }


METHOD = TransformersContinuous()
