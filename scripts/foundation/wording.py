"""Error sentences about a study's configuration: one line each, with values shortened and escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from scripts.foundation import text as inert
from scripts.foundation.errors import StudyError

MAX_VALUE_LENGTH = 80
_LONG_WORD = re.compile(r"\S{250,}")


class KeyFault(StudyError):
    """An error at a known key.

    Attributes:
        path: keys and positions from the configuration's root to the fault.
    """

    def __init__(self, sentence: str, path: tuple[Any, ...]) -> None:
        super().__init__(sentence)
        self.path = path


def dotted(path: tuple[Any, ...]) -> str:
    """A key's path with dots; the empty path is the configuration."""
    return ".".join(str(part) for part in path) or "the configuration"


def shown(value: Any) -> str:
    """A value as short text of one line that a terminal can show, JSON where it has a form there."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError, TypeError):  # an endless number, a list inside itself, keys that are no text
        text = f"a {type(value).__name__} that can't be shown"
    return one_line(text if len(text) <= MAX_VALUE_LENGTH else f"{text[: MAX_VALUE_LENGTH - 20]}…{text[-15:]}")


def one_line(text: str) -> str:
    """Text with everything escaped that would break the line or steer a terminal, and its longest words cut."""
    return inert.one_line(_LONG_WORD.sub(lambda found: f"{found[0][:120]}…{found[0][-60:]}", text))


def suggestion(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the closest known one, or all of them."""
    known = sorted(known)
    close = get_close_matches(name, known, n=1)
    return f"; perhaps '{close[0]}' is meant" if close else f"; there are {', '.join(known)}"
