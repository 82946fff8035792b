"""Python's garbage collector kept out of the timed batches, for every technique and rank alike."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

COLLECTED = "between batches"  # as run.json says it
_frozen = False


def freeze_libraries() -> None:
    """Freeze all objects there are, libraries' above all: the collector ignores them from now on (``gc.freeze``).

    Call it when all is imported and before a model is loaded: collecting among a million objects takes 0.1 s.
    """
    global _frozen
    if not _frozen:  # not by gc.get_freeze_count: Python 3.12 begins with some
        gc.collect()
        gc.freeze()
        _frozen = True


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """In the block the collector does not start by itself.

    Cycles that a batch leaves behind would hold their memory until the end, and be in the peak: call ``gc.collect``
    between batches, where no clock of a request runs.
    """
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
