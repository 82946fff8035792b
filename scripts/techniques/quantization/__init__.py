"""Facet ``quantization``: what its methods share; each method is a package beside, found by name."""

from scripts.foundation import plugins

__path__ = plugins.extend(__name__, __path__)
