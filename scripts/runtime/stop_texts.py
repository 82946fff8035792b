"""Texts that end an answer where they first occur, wherever tokens begin and end in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.runtime.stops import ENDS

if TYPE_CHECKING:
    import numpy

BYTES = 4  # of a character at most; a tokenizer may have a token for each
MORE_TOKENS = 8  # looked at beyond the longest text: those that put out nothing


@dataclass(frozen=True)
class StopTexts:
    """The texts, and how tokens are read.

    Attributes:
        texts: none of them empty.
        decode: the text of token ids, without special tokens.
    """

    texts: tuple[str, ...]
    decode: Callable[[list[int]], str]

    @property
    def window(self) -> int:
        """So many tokens at the end of an answer hold whatever text ends with its last token."""
        return BYTES * max(map(len, self.texts)) + MORE_TOKENS

    def are_in(self, tokens: list[int]) -> bool:
        """Whether one of the texts is in the text of the tokens."""
        text = self.decode(tokens)
        return any(each in text for each in self.texts)

    def end(self, tokens: list[int]) -> int | None:
        """How many tokens there are up to and with the one that completes a text first; None without any."""
        if not self.are_in(tokens):
            return None
        lacks, has = 0, len(tokens)
        while has - lacks > 1:
            middle = (lacks + has) // 2
            lacks, has = (lacks, middle) if self.are_in(tokens[:middle]) else (middle, has)
        return has

    def cut(self, text: str) -> str:
        """A text up to where the first of the texts begins."""
        return text[: min((place for each in self.texts if (place := text.find(each)) >= 0), default=len(text))]


class Watch:
    """Follows one answer, token by token, and looks at its last ones alone."""

    def __init__(self, texts: StopTexts) -> None:
        self._texts, self._window, self._tokens = texts, texts.window, []
        self.ended = False

    def add(self, tokens: list[int]) -> bool:
        """Whether the answer has ended with these further tokens."""
        if not self.ended:
            self._tokens += tokens
            last = self._tokens[-self._window - len(tokens) :]
            # Where the last tokens are read apart from the others, their text may begin otherwise.
            self.ended = self._texts.are_in(last) and self._texts.are_in(self._tokens)
        return self.ended


class Rows:
    """Follows the answers of a batch for a decode loop whose device knows of stop tokens alone.

    Args:
        texts: None where only tokens end an answer.
        rows: how many answers.
    """

    def __init__(self, texts: StopTexts | None, rows: int) -> None:
        self._watches = [Watch(texts) for _ in range(rows)] if texts is not None else []

    def mark(self, seen: numpy.ndarray, tokens: numpy.ndarray) -> None:
        """Note in ``seen``, as ``scripts.runtime.stops.follow`` has it, which rows end with these tokens, [rows]."""
        for row, watch in enumerate(self._watches):
            if not seen[row] & ENDS and watch.add([int(tokens[row])]):
                seen[row] |= ENDS
