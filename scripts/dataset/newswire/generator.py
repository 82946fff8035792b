"""Stories from a seed.

Training and evaluation stories share no combination of entities: the tuple of all names that a story is about decides,
by its hash alone, to which side the story belongs; a story drawn for the other side is dropped. The hash does not
include the seed, so the promise holds between data sets of different seeds too.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from scripts.dataset.newswire.event import OTHER, Event, events
from scripts.dataset.newswire.template import fill, pick, slots
from scripts.dataset.newswire.values import Value, value

TRAIN = "train"
EVALUATION = "evaluation"

#: One in this many combinations of entities belongs to the evaluation side.
EVALUATION_ONE_IN = 8
#: How often the headline has the subject of the lead; otherwise any of the other styles is as likely.
STYLE_KEPT = 0.9
#: How often the detail and the aside change places.
ASIDE_FIRST = 0.3


@dataclass(frozen=True)
class Story:
    """A generated row, and what a test needs to know about it.

    Attributes:
        key: the names that the story is about, sorted.
        asides: names and figures of the sentence that must not enter the headline.
    """

    category: str
    summary: str
    headline: str
    event: str
    key: tuple[str, ...]
    asides: tuple[str, ...]


def side_of(key: tuple[str, ...]) -> str:
    """The side that a combination of entities belongs to."""
    digest = hashlib.blake2b("\n".join(key).encode(), digest_size=8).digest()
    return EVALUATION if int.from_bytes(digest, "big") % EVALUATION_ONE_IN == 0 else TRAIN


def stories(seed: int, side: str) -> Iterator[Story]:
    """Yield stories of one side without end. The first n are the same however many are used."""
    seen: set[tuple[str, str]] = set()
    index = 0
    while True:
        rng = Random(f"newswire/{seed}/{side}/{index}")
        index += 1
        event = pick(rng, events())
        values = _values(event, rng)
        key = tuple(sorted(str(values[name]) for name in event.entities))
        if side_of(key) != side:
            continue
        story = _write(event, values, key, rng)
        if (story.headline, story.summary) not in seen:
            seen.add((story.headline, story.summary))
            yield story


def _values(event: Event, rng: Random) -> dict[str, Value]:
    """Draw the event's values; no two share a word."""
    values: dict[str, Value] = {name: pick(rng, words) for name, words in event.choices.items()}
    for name in event.slots:
        values[name] = _unlike(list(values.values()), name, rng)
    return values


def _unlike(used: list[Value], kind: str, rng: Random) -> Value:
    """Draw a value that shares no word with those used, so that each stands for one thing only."""
    words = {word for each in used for word in _words(each)}
    while True:
        drawn = value(kind, rng)
        if not words & _words(drawn):
            return drawn


_WORD = re.compile(r"\w+")
#: Words that two values may share.
_COMMON = frozenset({"million", "billion", "years", "degrees", "mph", "University"})


def _words(drawn: Value) -> set[str]:
    # Parts of a figure count as words, so that an aside's "48" doesn't stand beside a headline's "48%".
    return set(_WORD.findall(str(drawn))) - _COMMON


def _write(event: Event, values: dict[str, Value], key: tuple[str, ...], rng: Random) -> Story:
    """Write the summary and the headline."""
    style = int(rng.random() * len(event.styles))
    written = style
    if rng.random() >= STYLE_KEPT:
        written = (style + 1 + int(rng.random() * (len(event.styles) - 1))) % len(event.styles)
    aside = pick(rng, event.asides)
    others = dict(values)
    for name in sorted(slots(aside)):
        others[name] = _unlike(list(others.values()), name.removeprefix(OTHER), rng)
    sentences = [fill(pick(rng, event.details), values, rng), fill(aside, others, rng)]
    if rng.random() < ASIDE_FIRST:
        sentences.reverse()
    return Story(
        category=event.category,
        summary=" ".join([fill(event.styles[style][0], values, rng), *sentences]),
        headline=fill(event.styles[written][1], values, rng),
        event=event.name,
        key=key,
        asides=tuple(str(others[name]) for name in sorted(slots(aside))),
    )
