"""Answers in the form of OpenAI's API, of completions and of chats: streams of events, or one JSON object."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from scripts.runtime.serving import STOP
from scripts.server.asked import Asked
from scripts.server.writing import Writer


class Answer:
    """An answer that grows.

    Args:
        number: tells it from the front's others.
        asked: the request.
        prompt: its tokens.
        tokenizer: of the ``tokenizers`` library.
        model: the model's name.
        chat: whether it is a chat's.

    Attributes:
        ended: set to None, or to the sentence that nothing more comes for.
        transport: where a stream's chunks go, once its headers are out.
    """

    def __init__(self, number: str, asked: Asked, prompt: list[int], tokenizer: Any, model: str, *, chat: bool) -> None:
        self.asked, self.chat = asked, chat
        self.prompt_tokens = len(prompt)
        self.new_tokens = 0
        self.reason: str | None = None
        self.ended: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self._writer = Writer(tokenizer, prompt, asked.stop_text)
        self._texts: list[str] = []
        self._ids: list[int] = []
        self._told: list[tuple[float, list[int], list[float]]] = []  # of ``_ids``, and of tokens that are yet to come
        self._tokenizer = tokenizer
        kind = ("chat.completion" if chat else "text_completion") + (".chunk" if chat and asked.stream else "")
        name = f"{'chatcmpl' if chat else 'cmpl'}-{number}"
        self._head = {"id": name, "object": kind, "created": int(time.time()), "model": model}
        self._begin = json.dumps(self._head)[:-1] + ', "choices": ['

    @property
    def usage(self) -> dict[str, int]:
        """Numbers of tokens."""
        total = self.prompt_tokens + self.new_tokens
        return {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.new_tokens, "total_tokens": total}

    def tell(self, logprob: float, tokens: list[int], logprobs: list[float]) -> None:
        """Take a new token's log-probability and those of the likeliest ones, before the token itself comes."""
        self._told.append((logprob, tokens, logprobs))

    def _logprobs(self) -> dict[str, list[Any]] | None:
        """Those of the tokens that go out, in the form of OpenAI's completions, and forget them."""
        if not self.asked.logprobs:
            return None
        count = len(self._ids)
        told, self._told = self._told[:count], self._told[count:]
        return {
            "tokens": [self._written(token) for token in self._ids],
            "token_logprobs": [own for own, _, _ in told],
            # Of tokens with the same text, as parts of a character are, the likeliest stands.
            "top_logprobs": [
                {self._written(token): value for token, value in reversed(list(zip(tokens, values, strict=True)))}
                for _, tokens, values in told
            ],
        }

    def _written(self, token: int) -> str:
        return f"token_id:{token}" if self.asked.tokens_as_ids else self._tokenizer.decode([token])

    def take(self, tokens: list[int], reason: str | None) -> bool:
        """Take new tokens, and why they are the last ones if they are; False where a text to stop at has come."""
        texts = []
        for place, token in enumerate(tokens, start=1):
            self.new_tokens += 1
            self._ids.append(token)
            # The token that ends an answer is no part of its text.
            if not (reason == STOP and place == len(tokens)):
                texts.append(self._writer.add(token))
            if self._writer.stopped:
                reason = STOP
                break
        if reason is not None:
            texts.append(self._writer.end())
            # What was held to the last may hold such a text, too.
            self.reason = STOP if self._writer.stopped else reason
        text = "".join(texts)
        if self.asked.stream:
            self._send(text)
        else:
            self._texts.append(text)
        if reason is not None and not self.ended.done():
            self.ended.set_result(None)
        return not self._writer.stopped

    def _send(self, text: str) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        events = self._begin + self._choice(text) + "]"
        if self.asked.running_usage:
            events += f', "usage": {json.dumps(self.usage)}'
        events = f"data: {events}}}\n\n"
        self._ids = []
        if self.reason is not None:
            if self.asked.usage:
                events += f'data: {self._begin}], "usage": {json.dumps(self.usage)}}}\n\n'
            events += "data: [DONE]\n\n"
        self.transport.write(chunk(events.encode()))

    def _choice(self, text: str) -> str:
        reason = "null" if self.reason is None else f'"{self.reason}"'
        shown = f'"delta": {{"content": {json.dumps(text)}}}' if self.chat else f'"text": {json.dumps(text)}'
        told = json.dumps(self._logprobs())
        return f'{{"index": 0, {shown}, "token_ids": {self._ids}, "logprobs": {told}, "finish_reason": {reason}}}'

    def opening(self) -> bytes | None:
        """The first event of a chat's stream, which names the role; of others there is none."""
        if not self.chat:
            return None
        choice = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        return chunk(f"data: {self._begin}{json.dumps(choice)}]}}\n\n".encode())

    def failed(self, sentence: str) -> None:
        """End it with an error."""
        if self.ended.done():
            return
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(chunk(f"data: {json.dumps(error(sentence, 500))}\n\n".encode()))
        self.ended.set_result(sentence)

    def whole(self) -> dict[str, Any]:
        """The answer as one object."""
        text = "".join(self._texts)
        shown = {"message": {"role": "assistant", "content": text}} if self.chat else {"text": text}
        choice = {
            "index": 0, **shown, "token_ids": self._ids, "logprobs": self._logprobs(), "finish_reason": self.reason,
        }  # fmt: skip
        return {**self._head, "choices": [choice], "usage": self.usage}


def chunk(data: bytes) -> bytes:
    """A part of a body in HTTP/1.1's chunked transfer coding (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def error(sentence: str, status: int, field: str | None = None) -> dict[str, Any]:
    """An error's body."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": sentence, "type": kind, "param": field, "code": status}}
