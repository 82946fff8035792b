"""Made-up names. Every pool begins with common names and goes on with rare ones, composed from syllables.

A name is drawn with a probability of about 1/rank (Zipf's law): a few names are common and most are rare, so that a
model must learn to copy a name from the summary and can't know them all by heart.
"""

import functools
from pathlib import Path
from random import Random
from typing import NamedTuple

import yaml

from scripts.dataset.newswire.template import pick


@functools.cache
def _parts(name: str) -> tuple[str, ...]:
    lists = yaml.load(Path(__file__).with_name("names.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    return tuple(lists[name].split())


class Person(NamedTuple):
    """A made-up person; reads as the full name, ``last`` is what a headline uses."""

    first: str
    last: str

    def __str__(self) -> str:
        return f"{self.first} {self.last}"

    def __format__(self, spec: str) -> str:
        return str(self)


def _joined(heads: tuple[str, ...], tails: tuple[str, ...], stream: str, between: str = "") -> tuple[str, ...]:
    """All heads with all tails, in a fixed shuffled order, so that the common names don't share one part."""
    rng = Random(stream)
    return tuple(sorted((head + between + tail for head in heads for tail in tails), key=lambda _: rng.random()))


def _composed(stream: str, count: int, syllables: int) -> tuple[str, ...]:
    """Names such as ``Taloravall``, in a fixed order."""
    rng = Random(stream)
    names: dict[str, None] = {}
    while len(names) < count:
        stem = "".join(pick(rng, _parts("syllables")) for _ in range(syllables))
        ending = pick(rng, _parts("endings"))
        # One vowel has to stand between the consonants of stem and ending, or none between the vowels.
        if (stem[-1] in "aeio") != (ending[0] in "aeio"):
            names[(stem + ending).capitalize()] = None
    return tuple(names)


def _companies() -> tuple[str, ...]:
    rng = Random("company kinds")
    kinds = ("", *(f" {kind}" for kind in _parts("company_kind")))
    return tuple(name + pick(rng, kinds) for name in _joined(_parts("company_head"), _parts("company_tail"), "company"))


@functools.cache
def pool(kind: str) -> tuple[str, ...]:
    """All names of one kind, most common first.

    Raises:
        KeyError: there is no such kind.
    """
    match kind:
        case "first":
            return _parts("first") + _composed("first", 400, 1)
        case "last":
            return _parts("last") + _composed("last", 4000, 2)
        case "place":
            return _joined(_parts("town_head"), _parts("town_tail"), "place")
        case "country":
            return _joined(_parts("country_head"), _parts("country_tail"), "country")
        case "company":
            return _companies()
        case "team":
            return _joined(pool("place")[:200], _parts("nicknames"), "team", " ")
        case "title":
            return _joined(_parts("adjectives"), _parts("nouns"), "title", " ")
        case "product":
            return _composed("product", 1500, 2)
    raise KeyError(kind)


def draw(kind: str, rng: Random) -> str:
    """Draw a name with a probability of about 1/rank."""
    names = pool(kind)
    return names[int(len(names) ** rng.random()) - 1]


def draw_person(rng: Random) -> Person:
    """Draw a made-up person."""
    return Person(draw("first", rng), draw("last", rng))
