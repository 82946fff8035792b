"""Which tokens end an answer: some at once, a line break only behind text, so that a leading one ends none."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy
    import torch

    from scripts.runtime.stop_texts import StopTexts

# Of a token, and of a row of tokens so far: that it ends, that it has text. Of a token: that it ends what has text.
ENDS, TEXT, ENDS_TEXT = 1, 2, 4


@dataclass(frozen=True)
class Held:
    """Tokens that end an answer only once it has text.

    Attributes:
        tokens: those.
        blank: all tokens that put out no text, most of ``tokens`` among them.
    """

    tokens: frozenset[int] = frozenset()
    blank: frozenset[int] = frozenset()


NOTHING_HELD = Held()


@dataclass
class Stops:
    """The tokens that end a headline.

    Attributes:
        all_tokens: all of them, ascending.
        end_tokens: the end tokens among them; the others are line breaks.
        held: those that end only what has text.
        texts: texts that end it where they first occur.
        table: ``codes`` on the model's device, int8 [vocabulary], where any are held and ``generate`` needs it.
    """

    all_tokens: list[int]
    end_tokens: set[int]
    held: Held = NOTHING_HELD
    texts: StopTexts | None = None
    table: torch.Tensor | None = field(default=None, compare=False)

    @functools.cached_property
    def at_once(self) -> list[int]:
        """The tokens that end a headline wherever they stand."""
        return [token for token in self.all_tokens if token not in self.held.tokens]

    @functools.cached_property
    def _at_once(self) -> set[int]:
        return set(self.at_once)

    def trim(self, tokens: list[int]) -> list[int]:
        """Tokens up to and with the one that ends; what a technique generated beyond it does not count."""
        tokens = self._to_stop_token(tokens)
        return tokens if self.texts is None else tokens[: self.texts.end(tokens)]

    def _to_stop_token(self, tokens: list[int]) -> list[int]:
        stops, held, has_text = self._at_once, self.held, False
        for index, token in enumerate(tokens):
            if token in stops or (has_text and token in held.tokens):
                return tokens[: index + 1]
            has_text = has_text or token not in held.blank
        return tokens

    def text_of(self, text: str) -> str:
        """The text of trimmed tokens up to a text that ends it."""
        return text if self.texts is None else self.texts.cut(text)

    def reason(self, tokens: list[int]) -> str:
        """Why generation of trimmed tokens stopped: ``end``, ``text``, ``line_break`` or ``length``."""
        if tokens and tokens[-1] in self.end_tokens:
            return "end"
        if self.texts is not None and self.texts.are_in(tokens):
            return "text"
        if not tokens or tokens[-1] not in set(self.all_tokens):
            return "length"
        if tokens[-1] in self.held.tokens and all(token in self.held.blank for token in tokens[:-1]):
            return "length"
        return "line_break"

    @classmethod
    def none(cls) -> Stops:
        """Nothing ends a headline but its length."""
        return cls([], set())


def codes(stops: list[int] | frozenset[int], held: Held, vocabulary: int) -> numpy.ndarray:
    """What each token does, int8 [vocabulary]: ENDS, TEXT and ENDS_TEXT added up; zeros where nothing stops."""
    import numpy  # late: whoever reads the configuration needs none

    table = numpy.zeros(vocabulary, dtype=numpy.int8)
    if held.tokens:
        table[:] = TEXT
        table[[token for token in held.blank if token < vocabulary]] = 0
        table[[token for token in held.tokens if token < vocabulary]] |= ENDS_TEXT
    table[[token for token in stops if token < vocabulary]] = ENDS
    return table


def follow(before: Any, code: Any) -> Any:
    """The state of rows after one more token each: arrays or tensors of int8.

    Args:
        before: the state, ENDS and TEXT added up.
        code: what the tokens do, as ``codes`` has it.
    """
    return before | (code & 3) | ((code >> 2) & (before >> 1) & 1)
