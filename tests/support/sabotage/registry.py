"""Where sabotages are kept by name, and what they are made of."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

from scripts.techniques.registry import load_facet

SABOTAGES: dict[str, Callable[[], Any]] = {}


def sabotage(make: Callable[[], Iterator[None]]) -> Callable[[], Any]:
    """Keep a generator function as a context manager under its own name."""
    SABOTAGES[make.__name__] = contextlib.contextmanager(make)
    return SABOTAGES[make.__name__]


@contextlib.contextmanager
def applied(names: list[str]) -> Iterator[None]:
    """With those sabotages; ``unproved:<facet>`` switches a facet's evidence off."""
    with contextlib.ExitStack() as stack:
        for name in names:
            what, _, facet = name.partition(":")
            stack.enter_context(method(facet, "evidence", {}) if what == "unproved" else SABOTAGES[name]())
        yield


def method(facet: str, name: str, result: Any) -> Any:
    """A facet's method does nothing and returns that."""
    return patch.object(type(load_facet(facet)), name, lambda *arguments: result)
