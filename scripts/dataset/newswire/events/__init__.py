"""The event types, one module a section of the paper."""

from scripts.dataset.newswire.event import Section
from scripts.dataset.newswire.events import (
    business,
    crime,
    education,
    entertainment,
    health,
    politics,
    science,
    sports,
    technology,
    transport,
    weather,
    world,
)

#: Appending keeps no earlier row: the events are drawn from this list by position.
SECTIONS: tuple[Section, ...] = (
    politics.SECTION,
    business.SECTION,
    sports.SECTION,
    science.SECTION,
    health.SECTION,
    weather.SECTION,
    crime.SECTION,
    technology.SECTION,
    entertainment.SECTION,
    world.SECTION,
    education.SECTION,
    transport.SECTION,
)
