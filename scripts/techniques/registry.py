"""Registry of facets and their methods, found by their folders, including those of plugins.

A facet is a package of ``scripts/techniques`` with a module ``facet``; a method of it is a package in the facet's with
a module ``method``. They are imported by name, so that a technique depends on the code of those that it uses alone.
"""

from __future__ import annotations

import functools
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.techniques.facet import Facet

if TYPE_CHECKING:
    from scripts.techniques.methods import Method

PACKAGE = "scripts.techniques"


def facet_names() -> list[str]:
    """Names of all facets, sorted."""
    return _packages_with(PACKAGE, "facet")


def method_names(facet: str) -> list[str]:
    """Names of a facet's methods, sorted."""
    return _packages_with(f"{PACKAGE}.{facet}", "method")


def load_facet(name: str) -> Facet:
    """The facet of that name.

    Raises:
        StudyError: there is none, or one without name or order.
    """
    if name not in facet_names():
        raise StudyError(f"the facet '{name}' has no module scripts/techniques/{name}/facet.py; add it.")
    module = f"{PACKAGE}.{name}.facet"
    facet = plugins.member(module, "FACET", Facet)
    if getattr(facet, "name", None) != name or type(getattr(facet, "order", None)) is not int:
        path = sys.modules[module].__file__
        raise StudyError(f"{path}: the facet must have the name '{name}' and a whole number as order; set them.")
    return facet


def load_method(facet: str, name: str) -> Method:
    """The method of that name, one of :func:`method_names`."""
    if name not in method_names(facet):
        raise StudyError(f"{facet} has no method {name!r}; it has {', '.join(method_names(facet))}.")
    return plugins.member(f"{PACKAGE}.{facet}.{name}.method", "METHOD", Facet)


def method_of(facet: str, settings: dict[str, Any]) -> Method | None:
    """The method of a facet that resolved settings use; None where the facet is off."""
    value = settings.get(facet)
    return None if value is None else load_facet(facet).method(value)


def used_facets(settings: dict[str, Any]) -> list[tuple[Facet, Any]]:
    """The facets that resolved settings turn on, in the order in which they act, with their values."""
    on = [(load_facet(name), value) for name, value in settings.items() if name != "model" and value is not None]
    return sorted(on, key=lambda each: (each[0].order, each[0].name))


def companion_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """The second model's own facets, as the facets of resolved settings give them."""
    return {name: own for facet, value in used_facets(settings) for name, own in facet.companion_facets(value).items()}


def code_modules(settings: dict[str, Any]) -> list[str]:
    """Modules that apply resolved settings and collect evidence, including those of the draft's facets.

    Costs and words are in other modules, which are in no run's key.
    """
    modules = []
    for facet, value in used_facets(settings):
        modules.append(f"{PACKAGE}.{facet.name}.facet")
        modules += [f"{PACKAGE}.{facet.name}.{method}.method" for method in facet.methods_used(value)]
    companion = companion_settings(settings)
    modules += code_modules(companion) if companion else []
    return list(dict.fromkeys(modules))


def _packages_with(package: str, module: str) -> list[str]:
    return list(_folders_with(tuple(importlib.import_module(package).__path__), module))


@functools.cache
def _folders_with(places: tuple[str, ...], module: str) -> tuple[str, ...]:
    found = {path.parent.name for place in places for path in Path(place).glob(f"*/{module}.py") if path.is_file()}
    return tuple(sorted(found))
