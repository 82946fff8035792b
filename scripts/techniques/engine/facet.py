"""Facet ``engine``: what runs the model from token to token.

``transformers`` is stock ``generate``; each other engine is a method.
"""

from __future__ import annotations

from scripts.techniques.methods import MethodFacet


class Engine(MethodFacet):
    """``transformers``, the name of another engine, or an object with ``name`` and its options."""

    name = "engine"
    order = 50
    key = "name"
    off = "transformers"
    kind = "engine"


FACET = Engine()
