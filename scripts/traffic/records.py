"""One request of a load run, as it is kept in ``requests.jsonl``."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from scripts.serving.client import Api, read
from scripts.traffic.messages import Sent
from scripts.traffic.prompts import GIVEN

WARM_UP, RAMP_UP, MEASURED, COOL_DOWN = "warm_up", "ramp_up", "measured", "cool_down"


@dataclass(slots=True)
class Record:
    """A request; moments are seconds since the begin of its level, None where it did not come to it.

    Attributes:
        level: number of the level, from 1; 0 is the warm-up.
        number: of the request in its level, from 0, in the order in which they were due.
        id: of the prompt, as the caller named it; a varied prompt has the id of the one it was made of.
        prompt: ``given`` or ``varied``.
        phase: ``warm_up``, ``ramp_up``, ``measured`` or ``cool_down``.
        due_s: when it should have been sent; in a closed loop when it was.
        sent_s: when it was handed to the connection.
        first_s: when its first new token was there.
        last_s: when its last new token was there.
        ended_s: when nothing more was to come, or its error was met.
        prompt_tokens: by the server's usage.
        new_tokens: by the server's usage.
        chunks: chunks with tokens.
        finish_reason: the server's word.
        error_kind: None, one of the client's kinds, or ``cancelled`` where the level ended before the answer.
        error: one sentence, or None.
        process: which of the sending processes, from 0.
        text: of the answer to a given prompt; None for a varied one.
        token_ids: of the answer to a given prompt, where the API has them.
        digest: of the prompt as it was sent.
    """

    level: int
    number: int
    id: str
    prompt: str
    phase: str
    due_s: float
    sent_s: float
    first_s: float | None
    last_s: float | None
    ended_s: float
    prompt_tokens: int | None
    new_tokens: int | None
    chunks: int
    finish_reason: str | None
    error_kind: str | None
    error: str | None
    process: int
    text: str | None = None
    token_ids: list[int] | None = None
    digest: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether it was answered."""
        return self.error_kind is None

    @property
    def latency_s(self) -> float | None:
        """From when it was due to its last token; None for one that failed."""
        return self.last_s - self.due_s if self.ok else None

    @property
    def ttft_s(self) -> float | None:
        """From when it was due to its first token; None for one that failed."""
        return self.first_s - self.due_s if self.ok else None

    @property
    def tpot_s(self) -> float | None:
        """Time per token after the first; None for one that failed, has one token, or came in one piece."""
        if not self.ok or self.new_tokens < 2 or self.chunks < 2:
            return None
        return (self.last_s - self.first_s) / (self.new_tokens - 1)

    def document(self) -> dict[str, Any]:
        """Return it as it is written; text and ids only of given prompts."""
        document = {name: getattr(self, name) for name in self.__slots__ if name != "digest"}
        if self.text is None:
            del document["text"], document["token_ids"]
        return document


def record(sent: Sent, api: Api, level: int, start: float) -> Record:
    """Return the record of a request that is through.

    Args:
        sent: what was sent and what came.
        api: how it was asked.
        level: its number.
        start: the level's begin, as a moment of ``time.perf_counter``.
    """
    ask = sent.ask
    answer = read(sent.made, api, ask)

    def since(moment: float | None) -> float | None:
        return None if moment is None else round(moment - start, 7)

    given = sent.source == GIVEN and answer.ok
    prompt = ask.token_ids if api.sends_ids(ask) else ask.text
    return Record(
        level=level, number=sent.number, id=ask.id, prompt=sent.source, phase=COOL_DOWN, due_s=since(answer.due),
        sent_s=since(answer.sent), first_s=since(answer.first), last_s=since(answer.last), ended_s=since(answer.ended),
        prompt_tokens=answer.prompt_tokens, new_tokens=answer.new_tokens, chunks=len(answer.chunks),
        finish_reason=answer.finish_reason, error_kind=answer.error_kind, error=answer.error, process=sent.process,
        text=answer.text if given else None, token_ids=answer.token_ids if given else None,
        digest=hashlib.blake2b(json.dumps(prompt).encode(), digest_size=12).digest(),
    )  # fmt: skip
