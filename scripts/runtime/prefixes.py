"""What prompts begin with together."""

from __future__ import annotations


def common_prefix(prompts: list[list[int]]) -> list[int]:
    """The tokens that all prompts begin with; at least one token of each prompt is left out."""
    first, last = min(prompts), max(prompts)
    room = min(map(len, prompts)) - 1
    length = 0
    while length < room and first[length] == last[length]:
        length += 1
    return first[:length]
