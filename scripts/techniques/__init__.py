"""One package per facet: each knows what its values mean, applies them, proves that they were on, and what they cost.

A facet is imported only for the techniques that use it, so that a change to it makes just their results stale. Nothing
in this package imports torch at import: the workflow checks settings with it when it is parsed.
"""

import importlib

from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.techniques.facet import Facet

__path__ = plugins.extend(__name__, __path__)

# The order in which facets act on a model as it is loaded.
FACETS = ("pruning", "quantization", "parallel", "kv_cache", "engine", "speculation", "batch_size", "prompt_tokens")


def load_facet(name: str) -> Facet:
    """The facet of that name.

    Raises:
        StudyError: no module of that name exists in ``scripts/techniques``.
    """
    module = f"scripts.techniques.{name}.facet"
    try:
        return importlib.import_module(module).FACET
    except ModuleNotFoundError as error:
        if error.name not in (module, f"scripts.techniques.{name}"):
            raise
        raise StudyError(f"the facet '{name}' has no module scripts/techniques/{name}/facet.py; restore it.") from None
