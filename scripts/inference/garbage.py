"""Python's garbage collector kept out of the timed batches, for every technique and rank alike."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

COLLECTED = "between batches"  # as run.json says it


def settle() -> None:
    """Take what is there, libraries above all, out of the collector's sight for the rest of the process.

    To be called once all is imported and before a model is loaded: a look through a million objects takes 0.1 s.
    """
    if not gc.get_freeze_count():
        gc.collect()
        gc.freeze()


@contextlib.contextmanager
def kept_out() -> Iterator[None]:
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
