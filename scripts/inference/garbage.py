"""Python's garbage collector kept out of the timed batches, for every technique and rank alike."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator

COLLECTED = "between batches"  # as run.json says it
_frozen_in: int | None = None


def freeze_libraries(*, again: bool = False) -> None:
    """Exclude all current objects from garbage collection (``gc.freeze``): collecting a million of them takes 0.1 s.

    Call it after the imports and before a model is loaded; once a process, unless ``again`` asks for more.
    """
    global _frozen_in
    if again or _frozen_in != os.getpid():  # not by gc.get_freeze_count: Python 3.12 begins with some
        gc.collect()
        gc.freeze()
        _frozen_in = os.getpid()


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Disable automatic garbage collection in the block; call ``gc.collect`` between batches, outside the timing."""
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
