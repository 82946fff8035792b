"""Facet ``prompt_tokens``: prompts of exactly so many tokens, for studies of how speed depends on the prompt's length.

A prompt is repeated until it is long enough, and cut. Such prompts ask for no headline any more, so that speed and
memory are measured and quality is not.
"""

from __future__ import annotations

from typing import Any

from scripts.foundation.errors import StudyError
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.generation import Observation
from scripts.runtime.models import Loaded
from scripts.techniques.facet import Facet


class PromptTokens(Facet):
    """A whole number of tokens."""

    name = "prompt_tokens"
    order = 80

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """A number that makes sense."""
        if type(value) is not int or value < 1:
            raise StudyError(f"prompt_tokens is {value!r}; give a whole number from 1.")

    def check_model(self, value: Any, config: Any) -> None:
        """The model must have room for the prompt."""
        longest = getattr(config, "max_position_embeddings", None)
        if longest is not None and value >= longest:
            raise UnsupportedError(f"prompts of {value} tokens don't fit a model of {longest} positions.")

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """The lengths that the model was given."""
        lengths = sorted(set(seen.prompt_lengths))
        first = seen.forward_lengths[0] if seen.forward_lengths else 0
        if lengths != [value] or first + seen.cached_tokens < value:
            raise EvidenceError(f"prompt_tokens is {value}, but the model was given prompts of {lengths} tokens.")
        return {"prompt_tokens": value}


FACET = PromptTokens()
