"""The shape of an event type: how such a story is told and how its headline is written."""

import functools
from dataclasses import dataclass, field

from scripts.dataset.newswire.template import slots
from scripts.dataset.newswire.values import ENTITIES


@dataclass(frozen=True)
class Event:
    """One type of event.

    Attributes:
        name: what happened, in one word or two.
        category: the section of the paper.
        styles: pairs of (lead sentence, headline). Lead and headline of a style have the same subject; that is the
            cue that makes the choice of headline mostly, but not wholly, predictable. Whatever a headline needs stands
            in every lead or every detail, so that any headline is true of any lead.
        details: second sentences, one of which is used.
        choices: ordinary words to choose from once a story, by slot.
    """

    name: str
    category: str
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


@dataclass(frozen=True)
class Section:
    """The events of one category, and its asides: sentences about something else that must not enter the headline."""

    events: tuple[Event, ...]
    asides: tuple[str, ...]
