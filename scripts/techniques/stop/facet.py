"""Facet ``stop``: what ends a technique's answers, in place of the study's ``generation.stop``.

The run reads it where it sets how ``generate``, a decode loop or a server is asked.
"""

from __future__ import annotations

from typing import Any

from scripts.foundation.errors import StudyError
from scripts.techniques.facet import Facet

RULES = ("line_break", "end_token")
MOST_TEXTS, MOST_CHARACTERS = 16, 200


class Stop(Facet):
    """``line_break``, ``end_token``, or a list of texts."""

    name = "stop"
    order = 86

    def check(self, value: Any, facets: dict[str, Any]) -> None:
        """A rule, or texts that can be found."""
        if value in RULES:
            return
        texts = value if isinstance(value, list) else []
        fits = all(isinstance(text, str) and 0 < len(text) <= MOST_CHARACTERS for text in texts)
        if not texts or len(texts) > MOST_TEXTS or not fits:
            raise StudyError(
                f"stop is {value!r}; give line_break, end_token or a list of up to {MOST_TEXTS} texts of up to "
                f"{MOST_CHARACTERS} characters."
            )


FACET = Stop()
