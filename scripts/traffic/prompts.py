"""Distinct prompts for as many requests as a load run sends.

A server that meets a prompt again may answer from its cache, and a load of few prompts then measures the cache.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import Any, TypeVar

from scripts.foundation.errors import StudyError
from scripts.serving.client import Ask

GIVEN, VARIED = "given", "varied"
#: One of so many items of a varied prompt's body is taken from another prompt.
_FOREIGN = 4
HOW = (
    "each of the study's prompts once, then variations of them: what all prompts begin and end with is kept, the words "
    "or tokens between are shuffled, and a quarter of them is taken from other prompts"
)
REPEATED = "the study's prompts in turn, again and again"

Item = TypeVar("Item", str, int)


class Prompts:
    """Hands out prompts by their number, the same for the same number in every process.

    The first numbers are the prompts given; a later one is a variation of prompt ``number modulo prompts``: the
    beginning and the end that all prompts share, such as an instruction, stay; what lies between is shuffled and a
    quarter of it replaced by items of other prompts. Token ids keep their number exactly, a text that of its words, so
    lengths are distributed as those given. A variation is no sentence, so its answer may end sooner or later.

    Args:
        asks: the requests given; ids and texts are varied each for itself, since only one of them is sent.
        seed: of the variations.
        repeat: hand out the prompts given in turn instead, where a prefix cache is studied.

    Raises:
        StudyError: there is no prompt, or nothing in them can be varied.
    """

    def __init__(self, asks: Sequence[Ask], seed: int, repeat: bool = False) -> None:
        if not asks:
            raise StudyError("there is no prompt to put load on a server with; the data set is empty.")
        self.asks, self.seed, self.repeat = tuple(asks), seed, repeat
        self._texts = _Parts([ask.text.split(" ") for ask in asks if ask.text is not None])
        self._ids = _Parts([list(ask.token_ids) for ask in asks if ask.token_ids is not None])
        if not repeat and len(self._texts.pool) < 2 and len(self._ids.pool) < 2:
            raise StudyError(
                "all prompts are one short text, which can't be varied, so a server would meet it again and again; "
                "give a data set of several prompts."
            )

    def ask(self, number: int) -> tuple[Ask, str]:
        """Return the request of a number from 0, and whether its prompt is ``given`` or ``varied``."""
        source = self.asks[number % len(self.asks)]
        if self.repeat or number < len(self.asks):
            return source, GIVEN
        changes: dict[str, Any] = {}
        if source.text is not None:
            changes["text"] = " ".join(self._texts.varied(source.text.split(" "), f"{self.seed}/text/{number}"))
        if source.token_ids is not None:
            changes["token_ids"] = tuple(self._ids.varied(list(source.token_ids), f"{self.seed}/ids/{number}"))
        return dataclasses.replace(source, **changes), VARIED


class _Parts:
    """What all prompts begin and end with, and the items in between.

    Args:
        prompts: words or token ids of each prompt.
    """

    def __init__(self, prompts: list[list[Item]]) -> None:
        shortest = min((len(prompt) for prompt in prompts), default=0)
        different = {tuple(prompt) for prompt in prompts}
        if len(different) < 2:
            # One prompt has no common beginning; its first item is one, such as a token that begins every text.
            self.start, self.end = min(1, shortest), 0
        else:
            self.start = _shared(prompts, shortest)
            self.end = _shared([prompt[::-1] for prompt in prompts], shortest - self.start)
        bodies = [prompt[self.start : len(prompt) - self.end] for prompt in prompts]
        self.pool = sorted({item for body in bodies for item in body})

    def varied(self, prompt: list[Item], seed: str) -> list[Item]:
        """Return a prompt of as many items with another body."""
        draw = random.Random(seed)
        stop = len(prompt) - self.end
        body = prompt[self.start : stop]
        draw.shuffle(body)
        for place in draw.sample(range(len(body)), -(-len(body) // _FOREIGN)):
            body[place] = draw.choice(self.pool)
        return [*prompt[: self.start], *body, *prompt[stop:]]


def _shared(prompts: list[list[Item]], most: int) -> int:
    """Return how many items all prompts begin with, at most so many."""
    count = 0
    while count < most and len({prompt[count] for prompt in prompts}) == 1:
        count += 1
    return count
