"""Refuses values that no key accepts, before they fail at the end of a study."""

from __future__ import annotations

import math
import re
from typing import Any

from scripts.foundation.wording import KeyFault, dotted, shown

MAX_DEPTH = 40
MAX_NUMBER = 2**53  # above it a report's numbers are not exact
# Control characters, halves of characters, and what is no character: no file of results can hold them.
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def check(value: Any, path: tuple[Any, ...] = ()) -> None:
    """Check a configuration recursively.

    Raises:
        KeyFault: a key that is not text, a number that is not finite or too large, text with characters that no text
            can hold, or a value that is none of YAML's and JSON's common kinds.
    """
    if len(path) > MAX_DEPTH:
        raise KeyFault(f"{dotted(path[:3])} is nested more than {MAX_DEPTH} deep; no key needs that.", path[:3])
    if isinstance(value, dict):
        for key, part in value.items():
            _check_key(key, path)
            check(part, (*path, key))
    elif isinstance(value, list):
        for position, part in enumerate(value):
            check(part, (*path, position))
    elif isinstance(value, str):
        _check_text(value, f"{dotted(path)} holds", path)
    elif isinstance(value, int | float):
        _check_number(value, path)
    elif value is not None:
        raise KeyFault(f"{dotted(path)} is {_kind(value)}, which no key takes; put it in quotes.", path)


def _check_key(key: Any, path: tuple[Any, ...]) -> None:
    if not isinstance(key, str):
        raise KeyFault(
            f"{dotted(path)} has the key {shown(key)}, which is {_kind(key)} and not text; put it in quotes.",
            (*path, key),
        )
    _check_text(key, f"{dotted(path)} has the key '{key}', which holds", path)


def _check_text(text: str, begin: str, path: tuple[Any, ...]) -> None:
    found = _NO_TEXT.search(text)
    if found:
        raise KeyFault(f"{begin} U+{ord(found[0]):04X}, which is no character of any text; remove it.", path)


def _check_number(value: float, path: tuple[Any, ...]) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise KeyFault(
            f"{dotted(path)} is {value}, which is no finite number; give one, or null where it may be.", path
        )
    if isinstance(value, int) and abs(value) > MAX_NUMBER:
        raise KeyFault(f"{dotted(path)} is {shown(value)}, which is larger than any key takes; correct it.", path)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "null" if value is None else f"a {type(value).__name__}"
