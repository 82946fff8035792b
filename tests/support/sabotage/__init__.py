"""Ways in which a technique can silently be something else than its settings say.

Each is a context manager that breaks the real thing and leaves the run to end as if nothing were wrong, so that only
a facet's evidence can tell.
"""

from tests.support.sabotage import generation, pruning, quantization
from tests.support.sabotage.registry import SABOTAGES, applied

__all__ = ["SABOTAGES", "applied", "generation", "pruning", "quantization"]
