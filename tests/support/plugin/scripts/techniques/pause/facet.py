"""Facet ``pause``: wait before each forward pass, as a slower machine would."""

from __future__ import annotations

import time
from typing import Any

from scripts.runtime.errors import EvidenceError
from scripts.runtime.generation import Observation
from scripts.runtime.models import Loaded
from scripts.techniques.facet import Facet


class Pause(Facet):
    """A whole number of milliseconds."""

    name = "pause"
    order = 75

    def after_load(self, value: Any, loaded: Loaded) -> None:
        """Wait in a hook of the model, and count how often."""
        loaded.notes["pauses"] = 0

        def wait(module: Any, arguments: Any) -> None:
            time.sleep(value / 1000)
            loaded.notes["pauses"] += 1

        loaded.model.register_forward_pre_hook(wait)

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """How often the model waited."""
        if loaded.notes["pauses"] < len(seen.forward_rows):
            raise EvidenceError(f"pause is {value} ms, but the model did not wait at every forward pass.")
        return {"milliseconds": value, "pauses": loaded.notes["pauses"]}


FACET = Pause()
