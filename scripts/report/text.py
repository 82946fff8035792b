"""Text from data, models and configuration, made inert before it is shown."""

import re
from typing import Any

# Control characters, and the characters that reorder or hide what follows them. Escaping for HTML or XML is left to the
# template engine and to the plot's writer: none of these characters would be touched by it.
DANGEROUS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def inert(text: str) -> str:
    """Replace characters that could garble a page by their visible names, e.g. ``[U+202E]``."""
    return DANGEROUS.sub(lambda match: f"[U+{ord(match.group()):04X}]", text)


def inert_values(value: Any) -> Any:
    """Make every text in a JSON value inert, keys too."""
    if isinstance(value, str):
        return inert(value)
    if isinstance(value, list):
        return [inert_values(part) for part in value]
    if isinstance(value, dict):
        return {inert(key): inert_values(part) for key, part in value.items()}
    return value


def shortened(text: str, limit: int) -> str:
    """Cut a text to ``limit`` characters on one line, with an ellipsis."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def flattened(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Turn a JSON value into (dotted key, text) pairs, in its order; an empty value gives no pair."""
    if isinstance(value, dict):
        pairs = [flattened(part, f"{prefix}.{key}" if prefix else str(key)) for key, part in value.items()]
        return [pair for group in pairs for pair in group]
    if isinstance(value, list) and any(isinstance(part, dict | list) for part in value):
        pairs = [flattened(part, f"{prefix}[{index}]") for index, part in enumerate(value)]
        return [pair for group in pairs for pair in group]
    return [(prefix, plain(value))]


def plain(value: Any) -> str:
    """Return a scalar, or a list of scalars, as a person would write it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(plain(part) for part in value) or "none"
    return str(value)
