"""The techniques of a study that does not select any: the built-in selection, and those that the study itself names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any


def complete(config: dict[str, Any], own: Sequence[dict[str, Any]]) -> None:
    """Add to ``select`` the techniques that a study sets, unless it selects some itself.

    Each is preceded by those that it extends, without which it would be compared with nothing.

    Args:
        config: the merged configuration, whose ``select`` is changed; its form is not checked yet.
        own: what was laid over the built-in study.
    """
    entries, select = config.get("techniques"), config.get("select")
    if any("select" in layer for layer in own) or not select:
        return
    if not isinstance(entries, dict) or not isinstance(select, list):
        return
    named = [name for layer in own for name in _mapping(layer.get("techniques"))]
    config["select"] = list(_unique([*select, *(each for name in named for each in _chain(name, entries))]))


def _chain(name: Any, entries: dict[str, Any]) -> list[Any]:
    """The technique behind those that it extends, the root first; a wrong ``extends`` is reported by the check."""
    chain: list[Any] = []
    while isinstance(name, str) and name in entries and name not in chain:
        chain.append(name)
        name = _mapping(entries[name]).get("extends")
    return chain[::-1]


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _unique(names: Iterable[Any]) -> Iterator[Any]:
    # Not by a set: before its form is checked, a selection may hold what can't be hashed.
    found: list[Any] = []
    for name in names:
        if name not in found:
            found.append(name)
            yield name
