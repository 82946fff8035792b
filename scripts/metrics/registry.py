"""The registry of figures: what each figure is, declared once by the module that computes it.

A family of figures is a module in ``scripts/metrics/families``, the project's or a plugin's. It has ``FIGURES``, a
tuple of :class:`scripts.metrics.entry.Entry`, and ``compute(recorded)``, which returns the figures by key from what a
technique's runs recorded (:class:`scripts.metrics.recorded.Recorded`). It may have ``ORDER``, its place among the
families, and ``by_prompt(recorded)``: columns with one value a prompt, for comparisons. Units in metrics files, columns
of the CSV and of the report's table, families of tests, definitions and docs/figures.md are made from the entries.
"""

import functools
import importlib
from pathlib import Path
from types import ModuleType

from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.metrics import families as found_by_name
from scripts.metrics.entry import Entry

LAST = 1_000


def families() -> tuple[ModuleType, ...]:
    """The families in their order.

    Raises:
        StudyError: a module has no figures or can't compute them, or two figures have one key.
    """
    return _families(plugins.roots())


def entries() -> tuple[Entry, ...]:
    """Every figure of a metrics file, in the order of the families; errors as in :func:`families`."""
    return tuple(entry for family in families() for entry in family.FIGURES)


def changes() -> dict[str, Entry]:
    """The figures that are compared, by the key of their change."""
    return {entry.change.key: entry for entry in entries() if entry.change}


@functools.cache
def _families(_: tuple[Path, ...]) -> tuple[ModuleType, ...]:
    found, seen = [importlib.import_module(name) for name in found_by_name.modules()], {}
    for family in found:
        figures = getattr(family, "FIGURES", None)
        if not isinstance(figures, tuple) or not callable(getattr(family, "compute", None)):
            raise StudyError(f"{family.__file__}: a family of figures has FIGURES and compute(recorded); add them.")
        for entry in figures:
            if not isinstance(entry, Entry):
                raise StudyError(f"{family.__file__}: FIGURES holds {entry!r}, which is no Entry; correct it.")
            names = {
                ("key", entry.key),
                ("column of the CSV", entry.csv),
                ("change", entry.change and entry.change.key),
            }
            for what, name in sorted(each for each in names if each[1]):
                if (what, name) in seen:
                    other = seen[what, name].__file__
                    raise StudyError(f"{family.__file__}: {other} has the {what} '{name}' too; rename it.")
                seen[what, name] = family
    return tuple(sorted(found, key=lambda family: getattr(family, "ORDER", LAST)))
