"""Event types with sentence and headline templates, read from one file per section of the paper.

A file, such as ``events/business.yaml``, holds ``asides``, sentences about something else that must not enter a
headline, and ``events`` by name, each with

- ``styles``: a ``lead`` sentence and a ``headline`` with the same subject. That is the cue that makes the choice of
  headline mostly, but not wholly, predictable. Whatever a headline needs stands in every lead or every detail, so that
  any headline is true of any lead.
- ``details``: second sentences, one of which is used.
- ``choices``, where it has some: ordinary words by slot, one of which is chosen for a story.
"""

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from scripts.dataset.newswire.template import slots
from scripts.dataset.newswire.values import ENTITIES, FIGURES
from scripts.foundation.errors import StudyError

FOLDER = Path(__file__).parent / "events"
#: Events are drawn by their position, so another order gives other rows; one more section changes nearly all of them.
SECTIONS = (
    "politics", "business", "sports", "science", "health", "weather", "crime", "technology", "entertainment", "world",
    "education", "transport",
)  # fmt: skip
OTHER = "other_"  # begins the slots of asides, whose values differ from those of the event


@dataclass(frozen=True)
class Event:
    """One type of event.

    Attributes:
        name: what happened, in one word or two.
        category: the section of the paper.
        asides: the section's asides.
        styles: pairs of (lead sentence, headline).
        details: second sentences.
        choices: words to choose from, by slot.
    """

    name: str
    category: str
    asides: tuple[str, ...]
    styles: tuple[tuple[str, str], ...]
    details: tuple[str, ...]
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @functools.cached_property
    def slots(self) -> tuple[str, ...]:
        """Every slot of the event's sentences that takes a drawn value, in a fixed order."""
        texts = [text for style in self.styles for text in style] + list(self.details)
        return tuple(sorted(frozenset().union(*map(slots, texts)) - set(self.choices)))

    @functools.cached_property
    def entities(self) -> tuple[str, ...]:
        """The slots that name something."""
        return tuple(name for name in self.slots if name in ENTITIES)


@functools.cache
def events() -> tuple[Event, ...]:
    """All types of events, in the order from which they are drawn."""
    return tuple(event for name in SECTIONS for event in read(FOLDER / f"{name}.yaml"))


def read(path: Path) -> list[Event]:
    """Read the events of a section; its name in capitals is their category.

    Raises:
        StudyError: the file can't be read, or an event lacks something or has a slot that nothing fills.
    """
    try:
        section = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
        asides = _texts(section["asides"])
        found = [_event(name, path.stem.upper(), asides, given) for name, given in section["events"].items()]
        for aside in asides:
            _check_slots(aside, {OTHER + kind for kind in _KINDS})
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise StudyError(
            f"{path} holds no events as scripts/dataset/newswire/event.py describes them ({reason}); correct it."
        ) from None
    return found


_KINDS = {*ENTITIES, *FIGURES}


def _event(name: str, category: str, asides: tuple[str, ...], given: dict[str, Any]) -> Event:
    choices = {slot: _texts(words) for slot, words in given.get("choices", {}).items()}
    styles = tuple((style["lead"], style["headline"]) for style in given["styles"])
    event = Event(name, category, asides, styles, _texts(given["details"]), choices)
    for text in (*(text for style in styles for text in style), *event.details):
        _check_slots(text, _KINDS | set(choices))
    return event


def _texts(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not given or not all(isinstance(text, str) for text in given):
        raise ValueError(f"{str(given)[:80]!r} is no list of texts")
    return tuple(given)


def _check_slots(text: str, known: set[str]) -> None:
    unknown = sorted(slots(text) - known)
    if unknown:
        raise ValueError(f"nothing fills the slot {unknown[0]!r} of {text!r}")
