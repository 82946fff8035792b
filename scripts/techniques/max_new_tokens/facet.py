"""Facet ``max_new_tokens``: a technique's own limit of new tokens, in place of the study's.

The run reads it where it sets how ``generate``, a decode loop or a server is asked.
"""

from __future__ import annotations

from typing import Any

from scripts.foundation.errors import StudyError
from scripts.runtime.errors import EvidenceError
from scripts.runtime.generation import Observation
from scripts.runtime.models import Loaded
from scripts.techniques.facet import Facet


class MaxNewTokens(Facet):
    """A whole number of tokens."""

    name = "max_new_tokens"
    order = 85

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """A number that makes sense."""
        if type(value) is not int or value < 1:
            raise StudyError(f"max_new_tokens is {value!r}; give a whole number from 1.")

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """The length of the longest answer of the observed batch."""
        if seen.new_tokens > value:
            raise EvidenceError(f"max_new_tokens is {value}, but an answer of {seen.new_tokens} tokens was written.")
        return {"longest_observed_tokens": seen.new_tokens}


FACET = MaxNewTokens()
