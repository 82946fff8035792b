"""Base class of engines other than stock ``generate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.foundation.errors import StudyError
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.techniques.methods import Method

if TYPE_CHECKING:
    from scripts.runtime.generation import Observation
    from scripts.runtime.models import Loaded


class EngineMethod(Method):
    """An engine: it keeps a cache, and by default runs on its own.

    Attributes:
        cache_class: class of the cache that generation must have used.
        alone: whether it composes neither with speculation nor with parallel.
        forces_acceptance: whether it can accept drafted tokens by a draw.
        run_by: module whose ``measure`` makes a run of it, where that is not the worker itself.
        runs_micro_batches: whether it keeps several micro-batches in flight, on balanced pipeline stages.
        draws: whether it can draw its answers, with the study's own noise.
    """

    cache_class: str
    alone = True
    forces_acceptance = False
    run_by: str | None = None
    runs_micro_batches = False
    draws = False

    def can_draw(self, value: Any) -> bool:
        """Whether answers can be drawn, with whatever noise."""
        return self.draws

    def draws_alike(self, value: Any) -> bool:
        """Whether answers are drawn with the study's noise, so that their tokens can be compared."""
        return self.draws

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """Every engine other than stock ``generate`` keeps a cache."""
        name = value["name"]
        if facets["kv_cache"] == "none":
            raise StudyError(f"engine '{name}' does not compose with kv_cache 'none'; use kv_cache: dynamic.")
        for other in ("speculation", "parallel") if self.alone else ():
            if facets.get(other):
                raise StudyError(f"engine '{name}' does not compose with {other}; remove one of the two facets.")

    def check_served(self, value: Any, facets: dict[str, Any]) -> None:
        """Most engines answer one batch after another."""
        raise UnsupportedError(
            f"Engine '{value['name']}' answers one batch after another and can't serve requests as they come; use "
            "engine graph or transformers_continuous."
        )

    def asked(self, value: Any) -> dict[str, Any] | None:
        """What a run is asked beside the settings, and its results are kept by; None for nothing."""
        return None

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """The cache's class, and the engine's own facts."""
        cache = type(seen.cache).__name__
        if cache != self.cache_class:
            raise EvidenceError(f"engine '{value['name']}' keeps a {self.cache_class}, but generation used a {cache}.")
        return {"name": value["name"], "cache_class": cache} | self.facts(value, loaded, seen)

    def facts(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """Further facts, as JSON.

        Raises:
            EvidenceError: they contradict the settings.
        """
        raise NotImplementedError
