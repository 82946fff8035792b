"""Log-probabilities in a server's stream: of each new token, and of the tokens that stood beside it.

Two forms are read, both with token ids, since a token's text does not tell which token it is: ``content`` with an
``id`` for each token (llama.cpp), and OpenAI's older lists whose tokens are written ``token_id:17`` (vLLM, where
``return_tokens_as_token_ids`` asks for that).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from scripts.serving import stream

WRITTEN = "token_id:"


@dataclass(frozen=True)
class Step:
    """One new token: its id, its log-probability in nats, and those of the likeliest tokens by their ids."""

    token: int
    logprob: float
    likeliest: dict[int, float]

    @property
    def rival(self) -> int | None:
        """The likeliest other token; None where none was told."""
        others = {token: value for token, value in self.likeliest.items() if token != self.token}
        return max(others, key=others.get, default=None)

    @property
    def margin(self) -> float | None:
        """Its log-probability less its rival's, which is the gap of their logits: what normalises them cancels out."""
        return None if self.rival is None else self.logprob - self.likeliest[self.rival]


def read(pieces: list[tuple[float, bytes]]) -> list[Step] | None:
    """Return the steps of an answer; None where its stream has none, or not in a form that is known."""
    steps: list[Step] = []
    for _, data in stream.events(pieces, True):
        if data == stream.DONE:
            break
        try:
            for choice in json.loads(data)["choices"]:
                if choice.get("logprobs"):
                    steps += _steps(choice["logprobs"])
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
            return None
    return steps or None


def _steps(found: dict[str, Any]) -> list[Step]:
    if "content" in found:
        return [
            _step(each["id"], each["logprob"], {other["id"]: other["logprob"] for other in each["top_logprobs"]})
            for each in found["content"]
        ]
    rows = zip(found["tokens"], found["token_logprobs"], found["top_logprobs"], strict=True)
    return [_step(_id(token), value, {_id(other): at for other, at in top.items()}) for token, value, top in rows]


def _id(written: str) -> int:
    if not written.startswith(WRITTEN):
        raise ValueError(f"a token without its id: {written[:20]}")
    return int(written.removeprefix(WRITTEN))


def _step(token: Any, value: Any, likeliest: dict[Any, Any]) -> Step:
    if type(token) is not int or not all(type(each) is int for each in likeliest):
        raise TypeError("token ids are whole numbers")
    if not all(isinstance(each, int | float) and math.isfinite(each) for each in (value, *likeliest.values())):
        raise ValueError("log-probabilities are finite numbers")
    return Step(token, float(value), {token: float(each) for token, each in likeliest.items()})
