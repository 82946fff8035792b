"""Families of figures: one module each, with its entries in the registry and what computes them."""

import sys

from scripts.foundation import plugins

__path__ = plugins.extend(__name__, __path__)


def modules() -> list[str]:
    """Dotted names of the families' modules: part of the key of every stage that reads the registry."""
    return [f"{__name__}.{name}" for name in plugins.modules(sys.modules[__name__])]
