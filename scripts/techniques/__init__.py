"""One package per facet: each knows what its values mean, applies them, proves that they were on, and what they cost.

A facet is imported only for the techniques that use it, so that a change to it makes just their results stale. Nothing
in this package imports torch at import: the workflow checks settings with it when it is parsed.
"""

from scripts.foundation import plugins

__path__ = plugins.extend(__name__, __path__)
