"""Fills the placeholders of a preset, such as ``{port}``; braces around anything else stay as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

# When the server is started, and for each request.
OF_A_SERVER = (
    "executable", "model", "port", "gpus", "dtype", "device", "threads", "max_length", "total_length", "concurrency",
    "gpu_share", "decoding",
)  # fmt: skip
OF_A_REQUEST = (
    "stop_tokens", "new_tokens", "drawn", "temperature", "top_p", "top_k", "seed", "study_seed", "draw",
)  # fmt: skip
_NAME = re.compile(r"\{([a-z_]+)\}")


def fill(value: Any, values: dict[str, Any]) -> Any:
    """A value with its placeholders filled in; text that is one placeholder alone becomes the value itself.

    Args:
        value: text, or a list or mapping with text in it.
        values: by the placeholder's name; others stay.
    """
    if isinstance(value, dict):
        return {key: fill(inner, values) for key, inner in value.items()}
    if isinstance(value, list):
        return [fill(inner, values) for inner in value]
    if not isinstance(value, str):
        return value
    whole = _NAME.fullmatch(value)
    if whole and whole[1] in values:
        return values[whole[1]]
    return _NAME.sub(lambda found: _text(values[found[1]]) if found[1] in values else found[0], value)


def words(value: Any, values: dict[str, Any]) -> list[str]:
    """The words of a command, each as text."""
    return [_text(word) for word in fill(list(value), values)]


def named(value: Any) -> Iterator[str]:
    """Names of the placeholders in a value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from named(inner)
    elif isinstance(value, str):
        yield from _NAME.findall(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
