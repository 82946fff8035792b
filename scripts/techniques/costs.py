"""Costs of facets and methods, found by name in the module ``cost`` of their package.

They are no part of a run's key: only checks of settings and figures use them.
"""

from __future__ import annotations

import importlib.util
from typing import Any

from scripts.foundation import plugins
from scripts.hardware.cost import Cost, Costs
from scripts.techniques.registry import PACKAGE, companion_settings, facet_names, used_facets


class NoCostError(Exception):
    """A facet or method has no module ``cost``; the message says which."""


def load_cost(facet: str, method: str | None = None) -> Cost:
    """The cost of a facet, or of a method of it.

    Raises:
        NoCostError: it has none.
    """
    module = _module(facet, method)
    if importlib.util.find_spec(module) is None:
        what = f"the facet {facet}" if method is None else f"the method {method} of {facet}"
        raise NoCostError(f"{what} has no cost: {module.replace('.', '/')}.py is missing")
    return plugins.member(module, "COST", Cost)


def costs_of(settings: dict[str, Any]) -> Costs:
    """The costs of resolved settings; those of methods where a facet has methods.

    Raises:
        NoCostError: one of them has none.
    """
    parts = [(load_cost(facet, method), value) for facet, method, value in _used(settings)]
    companion = companion_settings(settings)
    return Costs(tuple(parts), costs_of(companion) if companion else None)


def cost_modules(settings: dict[str, Any]) -> list[str]:
    """Modules of the costs that resolved settings have, those of the second model's facets among them."""
    modules = [_module(facet, method) for facet, method, _ in _used(settings)]
    companion = companion_settings(settings)
    modules += cost_modules(companion) if companion else []
    return [module for module in dict.fromkeys(modules) if importlib.util.find_spec(module) is not None]


def is_lossless(difference: dict[str, Any], settings: dict[str, Any], before: dict[str, Any] | None = None) -> bool:
    """Whether a change in those facets must leave the tokens the same; False if a cost is unknown.

    Args:
        difference: the facets that are set otherwise, ``model`` among them.
        settings: all resolved settings.
        before: those without the change.
    """
    if not set(difference) <= set(facet_names()):
        return False
    try:
        if not all(load_cost(facet).lossless for facet in difference):
            return False
        return not any(
            load_cost(facet, method).changes_tokens(value, difference)
            for facet, method, value in [*_used(settings), *_used(before or {})]
        )
    except NoCostError:
        return False


def _used(settings: dict[str, Any]) -> list[tuple[str, str | None, Any]]:
    return [
        (facet.name, method, value)
        for facet, value in used_facets(settings)
        for method in facet.methods_used(value) or [None]
    ]


def _module(facet: str, method: str | None) -> str:
    return ".".join([PACKAGE, facet, *([method] if method else []), "cost"])
