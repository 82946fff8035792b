"""The report's sections: each module is one, found by listing; plugins can add to them."""

import importlib
import sys

from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.report.section import Section

__path__ = plugins.extend(__name__, __path__)


def modules() -> list[str]:
    """Dotted names of the modules, those of plugins among them."""
    return [f"{__name__}.{name}" for name in plugins.modules(sys.modules[__name__])]


def sections() -> list[Section]:
    """All sections, in the order in which they stand in the report.

    Raises:
        StudyError: a module has no section, or two have the same id.
    """
    found: dict[str, Section] = {}
    for name in modules():
        section = getattr(importlib.import_module(name), "SECTION", None)
        if not isinstance(section, Section):
            raise StudyError(f"the module {name} has no SECTION, which each section of the report has; add it.")
        if section.id in found:
            raise StudyError(f"two sections of the report have the id '{section.id}'; rename that of {name}.")
        found[section.id] = section
    return sorted(found.values(), key=lambda section: (section.order, section.id))
