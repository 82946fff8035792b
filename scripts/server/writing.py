"""Text of tokens as they come: whole characters alone, and nothing of what may become a text to stop at."""

from __future__ import annotations

from typing import Any

from tokenizers.decoders import DecodeStream

BEFORE = 5  # tokens of the prompt that the first new ones are decoded behind, for tokenizers that write a space between
UNKNOWN = "\ufffd"  # stands for bytes that are no whole character


class Writer:
    """The text of one answer.

    Args:
        tokenizer: of the ``tokenizers`` library.
        prompt: token ids.
        stop_text: texts before which the answer ends.

    Attributes:
        stopped: whether one of them has come.
    """

    def __init__(self, tokenizer: Any, prompt: list[int], stop_text: tuple[str, ...]) -> None:
        self._tokenizer, self._stop_text = tokenizer, stop_text
        before = prompt[-BEFORE:]
        # Behind a part of a character, the first text would begin with the prompt's end.
        if tokenizer.decode(before).endswith(UNKNOWN):
            before = []
        self._stream = DecodeStream(ids=before, skip_special_tokens=True)
        self._pending: list[int] = []  # not yet whole characters
        self._held = ""
        self.stopped = False

    def add(self, token: int) -> str:
        """The text that can go out after one more token."""
        self._pending.append(token)
        try:
            text = self._stream.step(self._tokenizer, token)
        except Exception:  # tokenizers has no class of its own for what it can't continue
            self._stream = DecodeStream(skip_special_tokens=True)
            text = self._tokenizer.decode(self._pending)
        if text is None:
            return ""
        self._pending.clear()
        return self._released(text) if self._stop_text else text

    def end(self) -> str:
        """The text that is still held, after the last token."""
        text = self._tokenizer.decode(self._pending) if self._pending else ""
        if not self._stop_text:
            return text
        text = self._released(text)
        if not self.stopped:
            text, self._held = text + self._held, ""
        return text

    def _released(self, text: str) -> str:
        if self.stopped:
            return ""
        self._held += text
        found = [place for stop in self._stop_text if (place := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            return self._held[: min(found)]
        kept = max(_overlap(self._held, stop) for stop in self._stop_text)
        out, self._held = self._held[: len(self._held) - kept], self._held[len(self._held) - kept :]
        return out


def _overlap(text: str, stop: str) -> int:
    """How much of the end of a text may be the beginning of ``stop``."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
