"""Where a study's models come from: each module is a source, found by its name; plugins can add to them."""

import importlib
import sys

from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.models.source import Source

__path__ = plugins.extend(__name__, __path__)


def names() -> list[str]:
    """Names of all sources."""
    return plugins.modules(sys.modules[__name__])


def find(name: str) -> type[Source]:
    """The settings of a source.

    Raises:
        StudyError: its module has none.
    """
    settings = getattr(importlib.import_module(f"{__name__}.{name}"), "Settings", None)
    if not (isinstance(settings, type) and issubclass(settings, Source)):
        raise StudyError(f"the module {__name__}.{name} has no class Settings(Source), which each source has; add it.")
    return settings
