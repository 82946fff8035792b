"""The report's sections: each module is one, found by listing; plugins can add to them."""

import sys

from jinja2 import Environment, TemplateSyntaxError

from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.report.section import Section

__path__ = plugins.extend(__name__, __path__)


def modules() -> list[str]:
    """Dotted names of the modules, those of plugins among them."""
    return [f"{__name__}.{name}" for name in plugins.modules(sys.modules[__name__])]


def check() -> None:
    """See that every section is whole, before anything is run.

    Raises:
        StudyError: as :func:`sections`, or a partial is no Jinja template.
    """
    for path in (path for each in sections() for path in plugins.files(f"report/partials/{each.id}.html.j2")):
        try:
            Environment().parse(path.read_text(encoding="utf-8"))  # noqa: S701
        except (TemplateSyntaxError, UnicodeDecodeError) as error:
            line = f", line {error.lineno}" if isinstance(error, TemplateSyntaxError) else ""
            raise StudyError(f"{path}{line}: {str(error).rstrip('.')}; correct the template.") from None


def sections() -> list[Section]:
    """All sections, in the order in which they stand in the report.

    Raises:
        StudyError: a module has no section, or one without a partial, two have the same id, or one is within another
            that is none.
    """
    found: dict[str, Section] = {}
    for name in modules():
        section = plugins.member(name, "SECTION", Section)
        if section.id in found:
            raise StudyError(f"two sections of the report have the id '{section.id}'; rename that of {name}.")
        if not plugins.files(f"report/partials/{section.id}.html.j2"):
            raise StudyError(f"report/partials/{section.id}.html.j2 does not exist; write what shows {name}.")
        found[section.id] = section
    for section in found.values():
        if section.within is not None and (section.within not in found or found[section.within].within is not None):
            raise StudyError(
                f"the section '{section.id}' of the report is within '{section.within}', which can have no "
                "parts; name another."
            )
    return sorted(found.values(), key=lambda section: (section.order, section.id))
