"""What a watched batch leaves, made up: for tests of the facets' evidence."""

from typing import Any

from scripts.runtime.generation import Observation


def observation(**seen: Any) -> Observation:
    """One request with a prompt of ten tokens and three new ones, unless told otherwise."""
    lengths = seen.get("forward_lengths", [10, 1, 1])
    plain = {
        "prompt_tokens": 10, "new_tokens": 3, "requests": 1, "prompt_lengths": [10], "forward_lengths": lengths,
        "forward_rows": [1] * len(lengths), "padded_left": True, "cache": None, "collectives": {},
        "communication_share": 0.0,
    }  # fmt: skip
    return Observation(**plain | seen)
