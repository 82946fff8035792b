"""How answers are drawn: the settings, and the key of the noise that an answer is drawn with.

A key belongs to the seed, the prompt's tokens and the draw, and to nothing else: order and company of the requests
don't matter. What is made of it on the device is in :mod:`scripts.runtime.gumbel`.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


def key_of(seed: int, prompt: Iterable[int], draw: int) -> int:
    """The key of an answer's noise, a signed 64-bit number.

    It is odd, and its bits are those of a SHA-256 digest, since a key of Squares (Widynski, 2020) must be irregular.

    Args:
        seed: the study's, or a request's.
        prompt: token ids of the whole prompt.
        draw: which of the prompt's answers it is, from 0.
    """
    digest = hashlib.sha256(f"{seed}\n{draw}\n".encode() + array("q", prompt).tobytes()).digest()
    return int.from_bytes(digest[:8], "little", signed=True) | 1


@dataclass(frozen=True)
class Sampler:
    """How tokens are drawn.

    Attributes:
        temperature: what logits are divided by; above 0.
        top_p: the most likely tokens that reach this probability together are left; 1 leaves all.
        top_k: so many of the most likely tokens are left; None leaves all.
        seed: of the noise.
        draw: which answer of each prompt is drawn now, from 0.
    """

    temperature: float
    top_p: float = 1.0
    top_k: int | None = None
    seed: int = 0
    draw: int = 0

    def facts(self) -> dict[str, Any]:
        """The settings, as JSON."""
        return {name: value for name, value in asdict(self).items() if name != "draw"}

    def keys(self, prompts: Iterable[Iterable[int]]) -> list[int]:
        """The key of each prompt's answer."""
        return [key_of(self.seed, prompt, self.draw) for prompt in prompts]
