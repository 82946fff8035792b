"""Whether and how answers are drawn, and what can't draw them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scripts.foundation.errors import StudyError
from scripts.techniques import registry

if TYPE_CHECKING:
    from scripts.study.techniques import Technique

SETTINGS = ("temperature", "top_p", "top_k", "seed")
KEYS = (*SETTINGS, "draws")
LEAVES_ALL = {"top_p": 1, "top_k": None, "draws": 1}


def settings(generation: dict[str, Any]) -> dict[str, Any] | None:
    """How tokens are drawn; None where decoding is greedy."""
    return {key: generation[key] for key in SETTINGS} if generation["temperature"] else None


def checked(generation: dict[str, Any], techniques: list[Technique]) -> list[Technique]:
    """The techniques; where answers are drawn, those compared with a server's own noise need not write the same tokens.

    Raises:
        StudyError: an option without effect, or techniques that can't draw.
    """
    if settings(generation) is None:
        for key, value in LEAVES_ALL.items():
            if generation[key] != value:
                raise StudyError(
                    f"generation.{key} is {generation[key]}, and generation.temperature is 0, which is greedy; set the "
                    "temperature too, or remove it."
                )
        return techniques
    greedy = [f"{each.name} (engine {each.settings['engine']['name']})" for each in techniques if not _can_draw(each)]
    if greedy:
        raise StudyError(
            f"generation.temperature is {generation['temperature']}, and these techniques can only write the most "
            f"likely tokens; leave them out of select, or set the temperature to 0: {', '.join(greedy)}."
        )
    by_name = {technique.name: technique for technique in techniques}
    return [
        technique if _alike(technique) and _alike(by_name.get(technique.parent)) else replace(technique, lossless=False)
        for technique in techniques
    ]


def _can_draw(technique: Technique) -> bool:
    engine = registry.method_of("engine", technique.settings)
    return engine is None or engine.can_draw(technique.settings["engine"])


def _alike(technique: Technique | None) -> bool:
    """Whether a technique draws with the study's noise."""
    engine = technique and registry.method_of("engine", technique.settings)
    return not engine or engine.draws_alike(technique.settings["engine"])
