"""Reads a stream of server-sent events with completions (OpenAI's API) into an answer.

Whatever a server sends is taken for text of a stranger: a wrong type is an error with a sentence, never an exception.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from scripts.foundation import wording
from scripts.serving import api as kinds
from scripts.serving.api import CHAT, Answer, Api, Ask

DONE = b"[DONE]"


def read(answer: Answer, pieces: list[tuple[float, bytes]], api: Api, ask: Ask, content_type: str, whole: bool) -> None:
    """Fill an answer from what was read of its body.

    Args:
        answer: to fill.
        pieces: the body in the pieces in which it came, each with its moment.
        api: how the server was asked.
        ask: what it was asked.
        content_type: of the response, for the sentence where the body is no stream.
        whole: whether the body ended as HTTP says; the error that ended it otherwise is noted by the caller, after
            what is found here.
    """
    done = False
    found = False
    if api.token_ids:
        answer.token_ids = []
    for moment, data in events(pieces, whole):
        found = True
        if data == DONE:
            done = True
            break
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError):
            if whole:
                answer.fail(kinds.NOT_API, f"the server's stream holds what is no JSON: {wording.shown(_text(data))}.")
            break
        if not _take(answer, chunk, moment, api):
            break
    answer.text = "".join(text for _, text, _ in answer.chunks)
    if not whole or answer.error_kind:
        return
    if not found:
        said = message(b"".join(data for _, data in pieces))
        answer.fail(
            kinds.NOT_API,
            f"the server answered with {wording.shown(content_type)} and not with a stream of events: {said}.",
        )
    elif not answer.chunks:
        answer.fail(kinds.NOT_API, "the server's stream ended without a token.")
    elif not done and answer.finish_reason is None:
        answer.fail(
            kinds.CUT, f"the server's stream ended after {len(answer.chunks)} chunks, before the answer was complete."
        )
    else:
        _check_counts(answer, api, ask)


def events(pieces: list[tuple[float, bytes]], whole: bool) -> Iterator[tuple[float, bytes]]:
    """Yield the data of each event with the moment at which its end was read.

    The format is that of the HTML standard, section 9.2, "Server-sent events"; of its fields only data counts here,
    and ``error``, which llama.cpp has sent. An event that the end of the body cuts off is yielded where the body is
    whole.
    """
    rest, data, moment = b"", [], 0.0
    for moment, piece in pieces:
        *lines, rest = (rest + piece).replace(b"\r\n", b"\n").split(b"\n")
        for line in lines:
            if not line:
                if data:
                    yield moment, b"\n".join(data)
                    data = []
            elif line.startswith((b"data:", b"error:")):
                data.append(_value(line))
    if rest.startswith((b"data:", b"error:")):
        data.append(_value(rest.rstrip(b"\r")))
    if data and whole:
        yield moment, b"\n".join(data)


def _value(line: bytes) -> bytes:
    name, _, value = line.partition(b":")
    value = value.removeprefix(b" ")
    return b'{"error": %b}' % value if name == b"error" else value


def message(body: bytes) -> str:
    """Return what a server says of an error: the message of a JSON body, or the beginning of any other, as one line."""
    try:
        told: Any = json.loads(body)
    except (ValueError, RecursionError):
        return wording.shown(_text(body))
    for key in ("error", "message", "detail"):
        if isinstance(told, dict) and told.get(key):
            told = told[key]
    return wording.shown(told)


def _take(answer: Answer, chunk: Any, moment: float, api: Api) -> bool:
    """Add a chunk to the answer; return whether the stream can be read further."""
    if isinstance(chunk, dict) and chunk.get("error"):
        answer.fail(
            kinds.STREAM_ERROR, f"the server's stream ended with an error: {message(json.dumps(chunk).encode())}."
        )
        return False
    choices = chunk.get("choices") if isinstance(chunk, dict) else None
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        answer.fail(kinds.NOT_API, f"a chunk of the server's stream has no choices: {wording.shown(chunk)}.")
        return False
    total = None
    if (usage := chunk.get("usage")) is not None:
        if not _take_usage(answer, usage):
            return False
        total = answer.new_tokens
    for choice in choices:
        if choice.get("index", 0) == 0 and not _take_choice(answer, choice, moment, api, total):
            return False
    return True


def _take_usage(answer: Answer, usage: Any) -> bool:
    counts = [usage.get(name) if isinstance(usage, dict) else None for name in ("prompt_tokens", "completion_tokens")]
    if not all(type(count) is int and count >= 0 for count in counts):
        answer.fail(kinds.NOT_API, f"the server's usage has no numbers of tokens: {wording.shown(usage)}.")
        return False
    answer.prompt_tokens, answer.new_tokens, answer.usage = *counts, usage
    return True


def _take_choice(answer: Answer, choice: dict[str, Any], moment: float, api: Api, total: int | None) -> bool:
    held = choice.get("delta") if api.kind == CHAT else choice
    held = held if isinstance(held, dict) else {}
    text = held.get("content" if api.kind == CHAT else "text")
    # Reasoning is generated as any other token is; it is timed, and no part of the text.
    thought = held.get("reasoning_content") or held.get("reasoning")
    ids = choice.get(api.token_ids) if api.token_ids else None
    finish = choice.get("finish_reason")
    right = isinstance(text, str | None) and isinstance(finish, str | None)
    if not right or not (ids is None or (isinstance(ids, list) and all(type(token) is int for token in ids))):
        answer.fail(kinds.NOT_API, f"a chunk of the server's stream has wrong types: {wording.shown(choice)}.")
        return False
    grown = total is not None and total > next((count for count in reversed(answer.totals) if count is not None), 0)
    # A chat begins with a chunk that names the role and holds no token.
    if text or thought or ids or finish or grown:
        answer.chunks.append((moment, text or "", ids))
        answer.totals.append(total)
        if answer.token_ids is not None:
            answer.token_ids += ids or []
    answer.finish_reason = finish or answer.finish_reason
    return True


def _check_counts(answer: Answer, api: Api, ask: Ask) -> None:
    """Hold the server's numbers of tokens against the request and the ids that came."""
    if answer.new_tokens is None:
        answer.fail(
            kinds.NO_USAGE,
            "the server's stream has no usage, so that its tokens can't be counted; its API must take stream_options.",
        )
    elif answer.new_tokens > ask.max_new_tokens:
        answer.fail(
            kinds.WRONG_COUNTS,
            f"the server counts {answer.new_tokens} new tokens where at most {ask.max_new_tokens} were asked for.",
        )
    elif api.sends_ids(ask) and answer.prompt_tokens != len(ask.token_ids):
        answer.fail(
            kinds.WRONG_COUNTS,
            f"the server counts {answer.prompt_tokens} tokens in a prompt of {len(ask.token_ids)}.",
        )
    elif answer.token_ids and abs(len(answer.token_ids) - answer.new_tokens) > 1:
        # A stop token may be counted and not sent, or sent and not counted.
        answer.fail(
            kinds.WRONG_COUNTS,
            f"the server counts {answer.new_tokens} new tokens and sent the ids of {len(answer.token_ids)}.",
        )


def _text(data: bytes) -> str:
    return data[:500].decode("utf-8", errors="replace")
