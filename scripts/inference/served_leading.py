"""Goes on behind a leading line break, at which servers stop that can't be told to wait for text.

The request is sent again with what was answered behind its prompt, so that the answer is that of an engine that goes
on, and its time holds both requests. Only where prompts and answers are token ids, since a text does not tell whether a
line break or an end token ended it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scripts.runtime.stops import Held
    from scripts.serving.api import Answer, Ask


async def send(client: Any, ask: Ask, held: Held) -> tuple[Answer, int]:
    """The whole answer, and how often it had to be asked for again.

    Args:
        client: sends a request.
        ask: the request.
        held: line breaks that end only what has text; with none of them every answer is whole.
    """
    answer = await client.send(ask)
    again = 0
    while _stopped_before_text(answer, ask, held):
        further = replace(
            ask, token_ids=(*ask.token_ids, *answer.token_ids), max_new_tokens=ask.max_new_tokens - answer.new_tokens
        )
        _append(answer, await client.send(further))
        again += 1
    return answer, again


def _stopped_before_text(answer: Answer, ask: Ask, held: Held) -> bool:
    ids = answer.token_ids
    if not answer.ok or not ids or ask.token_ids is None or answer.new_tokens != len(ids):
        return False
    return ids[-1] in held.tokens and held.blank.issuperset(ids) and len(ids) < ask.max_new_tokens


def _append(answer: Answer, more: Answer) -> None:
    """Put a further answer behind one; its prompt is not counted."""
    answer.chunks += more.chunks
    answer.totals += [None if total is None else answer.new_tokens + total for total in more.totals]
    answer.text += more.text
    answer.token_ids = [*answer.token_ids, *(more.token_ids or [])]
    answer.new_tokens += more.new_tokens or 0
    answer.ended, answer.finish_reason = more.ended, more.finish_reason
    if not more.ok:
        answer.fail(more.error_kind, more.error)
