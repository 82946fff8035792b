"""Python's garbage collector kept out of the timed batches, for every technique and rank alike."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

COLLECTED = "between batches"  # as run.json says it


@contextlib.contextmanager
def kept_out() -> Iterator[None]:
    """In the block the collector does not start by itself, and what was there before is not looked at.

    Cycles that a batch leaves behind would hold their memory until the end, and be in the peak: call ``gc.collect``
    between batches, where no clock of a request runs.
    """
    gc.collect()
    gc.freeze()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
        gc.unfreeze()
