"""How many numbers of a quantised cache share a scale."""

from __future__ import annotations

import math
from typing import Any

BITS = {"int8": 8, "int4": 4, "fp8": 8}
GROUP = 64
# Of the graph engine's cache, which has no groups: a scale for each token and head.
SCALES, TOKEN_AND_HEAD = "scales", "token_and_head"
SCALE_BYTES = 4


def scaled_by_token(value: Any) -> bool:
    """Whether a settled value asks for the graph engine's quantised cache."""
    return isinstance(value, dict) and SCALES in value


def group_size(dtype: str, asked: int | None, width: int, heads: int) -> int:
    """Numbers of one head that share a scale and a zero point.

    Args:
        dtype: ``int8`` or ``int4``.
        asked: as the technique says; None takes the largest that divides the width, up to 64.
        width: of a head.
        heads: of keys and values.
    """
    size = asked or math.gcd(GROUP, width)
    # Two rows of groups are packed into one.
    halved = dtype == "int4" and not asked and heads * (width // size) % 2
    return size // 2 if halved and size > 1 else size


def fits(dtype: str, size: int, width: int, heads: int) -> bool:
    """Whether groups of that size fill every token's heads, and can be packed for any number of tokens."""
    return width % size == 0 and (dtype != "int4" or heads * (width // size) % 2 == 0)
