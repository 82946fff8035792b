"""Text from data, models and configuration, made inert before it is shown."""

from typing import Any

from scripts.foundation.text import DANGEROUS, inert

__all__ = ["DANGEROUS", "Safe", "flattened", "inert", "inert_values", "plain", "shortened"]


class Safe(str):
    """Text that holds nothing from data, models or configuration, so that Markdown needs no escaping of it."""


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
