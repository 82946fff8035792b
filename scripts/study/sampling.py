"""Whether and how answers are drawn, and what can't draw them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scripts.foundation.errors import StudyError

if TYPE_CHECKING:
    from scripts.study.techniques import Technique

KEYS = ("temperature", "top_p", "top_k", "seed")
LEAVES_ALL = {"top_p": 1, "top_k": None}


def settings(generation: dict[str, Any]) -> dict[str, Any] | None:
    """How tokens are drawn; None where decoding is greedy."""
    return {key: generation[key] for key in KEYS} if generation["temperature"] else None


def checked(generation: dict[str, Any], techniques: list[Technique]) -> list[Technique]:
    """The techniques; where answers are drawn none of them must write the tokens of another.

    Raises:
        StudyError: an option without effect, or techniques that decode greedily only.
    """
    if settings(generation) is None:
        for key, value in LEAVES_ALL.items():
            if generation[key] != value:
                raise StudyError(
                    f"generation.{key} is {generation[key]}, and generation.temperature is 0, which is greedy; set the "
                    "temperature too, or remove it."
                )
        return techniques
    greedy = [(technique.name, what) for technique in techniques if (what := _greedy_only(technique.settings))]
    if greedy:
        named = ", ".join(f"{name} ({what})" for name, what in greedy)
        raise StudyError(
            f"generation.temperature is {generation['temperature']}, and only transformers' generate samples in one "
            f"process without speculation; leave these techniques out of select, or set the temperature to 0: {named}."
        )
    return [replace(technique, lossless=False) for technique in techniques]


def _greedy_only(facets: dict[str, Any]) -> str | None:
    """What of a technique decodes greedily only."""
    if facets.get("engine"):
        return f"engine {facets['engine']['name']}"
    return next((other for other in ("speculation", "parallel") if facets.get(other)), None)
