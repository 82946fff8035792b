"""Where rows come from: each module is a source, found by its name; plugins can add to them."""

import sys

from scripts.dataset.source import Source
from scripts.foundation import plugins

__path__ = plugins.extend(__name__, __path__)


def names() -> list[str]:
    """Names of all sources."""
    return plugins.modules(sys.modules[__name__])


def find(name: str) -> type[Source]:
    """The settings of a source.

    Raises:
        StudyError: its module has none.
    """
    return plugins.settings(__name__, name, Source)
