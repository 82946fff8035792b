"""The few shapes for which continuous batching captures graphs."""

from __future__ import annotations

SMALLEST_PROMPT = 16  # tokens; a prefill of T tokens holds up to T / 16 prompts
MOST_PROMPTS = 64  # of a prefill


def row_counts(slots: int) -> list[int]:
    """Rows over which decode steps are captured: small ones, then about five for each doubling."""
    counts = {1, 2, 4, 6, 8, 12, *range(16, 64, 8), *range(64, 128, 16), *range(128, 256, 32), *range(256, slots, 64)}
    return [*sorted(count for count in counts if count < slots), slots]


def token_counts(longest: int, prefill_tokens: int) -> list[int]:
    """Tokens over which prefills are captured: eight for each doubling; above ``prefill_tokens``, for one prompt, four.

    The last holds the longest prompt and the most tokens of several.
    """
    most = max(longest, prefill_tokens)
    counts, count = [], 0
    while count < most:
        parts = 8 if count < prefill_tokens else 4
        count += max(SMALLEST_PROMPT, (1 << max(0, count.bit_length() - 1)) // parts)
        counts.append(count)
    return counts


def thinned(counts: list[int], ratio: float, least: int) -> list[int]:
    """Some of ascending counts: from the last down, each at most ``ratio`` of the next, none below ``least``.

    Where all are below it, the last alone.
    """
    kept = counts[-1:]
    for count in reversed(counts):
        if least <= count <= ratio * kept[-1]:
            kept.append(count)
    return kept[::-1]


def most_prompts(tokens: int) -> int:
    """The most prompts of a prefill of so many tokens."""
    return max(1, min(MOST_PROMPTS, tokens // SMALLEST_PROMPT))
