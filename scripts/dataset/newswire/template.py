"""Text templates: ``{slot}`` takes a value, ``[one|another]`` is a choice of wording made anew for each row."""

import functools
import re
from collections.abc import Mapping
from random import Random
from typing import Any, TypeVar

_CHOICE = re.compile(r"\[([^\]]*)\]")
_SLOT = re.compile(r"\{(\w+)")

T = TypeVar("T")


def pick(rng: Random, items: tuple[T, ...]) -> T:
    """Draw one item. Rests on ``Random.random`` alone, the one method whose values Python promises never to change."""
    return items[int(rng.random() * len(items))]


@functools.cache
def slots(template: str) -> frozenset[str]:
    """Names of the slots in ``template``: ``{person.last}`` is the slot ``person``."""
    return frozenset(_SLOT.findall(template))


@functools.cache
def _segments(template: str) -> tuple[tuple[str, ...], ...]:
    """Split into segments, each a tuple of its wordings: fixed text has one."""
    return tuple(
        tuple(part.split("|")) if index % 2 else (part,) for index, part in enumerate(_CHOICE.split(template)) if part
    )


def fill(template: str, values: Mapping[str, Any], rng: Random) -> str:
    """Choose the wordings, put the values in, and start with a capital letter."""
    words = "".join(part[0] if len(part) == 1 else pick(rng, part) for part in _segments(template))
    text = words.format_map(values)
    return text[0].upper() + text[1:]
