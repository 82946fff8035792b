"""What a model's transformers configuration says, whatever the architecture. Imports no torch."""

from __future__ import annotations

from typing import Any


def field(config: Any, name: str) -> Any:
    """A field of a configuration; None where it has none, or where layers differ in it."""
    try:
        return getattr(config, name, None)
    except RuntimeError:  # transformers gives no single value where layers differ
        return None


def number(config: Any, name: str) -> int | None:
    """A field that is one whole number for the whole model; None where it is not."""
    value = field(config, name)
    return value if type(value) is int else None
