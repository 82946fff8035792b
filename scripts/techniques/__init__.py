"""One package per facet: the meaning of its values, their application, evidence and cost.

A facet is imported only for techniques that use it, so that its code is part of their keys alone. Nothing
in this package imports torch at import: the workflow checks settings with it when it is parsed.
"""

from scripts.foundation import plugins

__path__ = plugins.extend(__name__, __path__)
