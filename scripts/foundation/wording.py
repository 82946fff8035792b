"""How faults of a study are said: in one line, whatever the study holds."""

from __future__ import annotations

import json
import re
from typing import Any

from scripts.foundation import text as inert
from scripts.foundation.errors import StudyError

LONGEST_VALUE = 80
_LONG_WORD = re.compile(r"\S{250,}")


class KeyFault(StudyError):
    """A fault at a place that is known.

    Attributes:
        path: keys and positions from the configuration's root to the fault.
    """

    def __init__(self, sentence: str, path: tuple[Any, ...]) -> None:
        super().__init__(sentence)
        self.path = path


def dotted(path: tuple[Any, ...]) -> str:
    """The place of a key as it is written in sentences; the root is the configuration."""
    return ".".join(str(part) for part in path) or "the configuration"


def shown(value: Any) -> str:
    """A value as short text of one line that a terminal can show, JSON where it has a form there."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError, TypeError):  # an endless number, a list inside itself, keys that are no text
        text = f"a {type(value).__name__} that can't be shown"
    return one_line(text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 20]}…{text[-15:]}")


def one_line(text: str) -> str:
    """Text with everything escaped that would break the line or steer a terminal, and its longest words cut."""
    return inert.one_line(_LONG_WORD.sub(lambda found: f"{found[0][:120]}…{found[0][-60:]}", text))
