"""One module per facet: each knows what its values mean, applies them, and proves that they were on.

A module here is imported only for the techniques that use its facet, so that a change to it makes just their results
stale. Nothing in this package imports torch at import: the workflow checks settings with it when it is parsed.
"""

import importlib

from scripts.foundation.errors import StudyError
from scripts.techniques.facet import Facet

# The order in which facets act on a model as it is loaded.
FACETS = ("pruning", "quantization", "parallel", "kv_cache", "engine", "speculation", "batch_size", "prompt_tokens")


def load_facet(name: str) -> Facet:
    """The facet of that name.

    Raises:
        StudyError: no module of that name exists in ``scripts/techniques``.
    """
    module = f"scripts.techniques.{name}"
    try:
        return importlib.import_module(module).FACET
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise StudyError(f"the facet '{name}' has no module scripts/techniques/{name}.py; restore the file.") from None
