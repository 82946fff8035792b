"""From a server's answer to a line of samples.jsonl: only what is known of tokens, times and the stop is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scripts.inference.prompts import LINE_BREAK
from scripts.runtime.stops import Stops
from scripts.serving.api import Answer

API, RETOKENISED = "api", "retokenised"


def line(
    answer: Answer, began: float, encode: Callable[[str], list[int]], decode: Callable[[list[int]], str], stops: Stops,
    *, text_stops: bool,
) -> dict[str, Any]:  # fmt: skip
    """What is kept of an answer, times in seconds since ``began``.

    ``tokens`` says whether ``token_ids`` are the server's (``api``) or made of its text (``retokenised``);
    ``new_tokens`` is what the server counted, whichever they are.

    Args:
        answer: a whole one.
        began: when the batch began.
        encode, decode: between a text and its token ids.
        stops: what ends a headline, for ids; none in the fixed mode.
        text_stops: whether the server was given a text to stop at, which its answer leaves out.
    """
    ids, count = answer.token_ids, answer.new_tokens
    latency = answer.last - began
    if ids:
        kept = stops.trim(ids)
        moments = _moments_of_ids(answer, began)[: len(kept)]
        if len(kept) < len(ids):
            latency, count = moments[-1], len(kept)
        text, source = stops.text_of(decode(kept)), API
        reason = stops.reason(kept)
        if reason == "length" and answer.finish_reason != "length" and stops.all_tokens:
            reason = None  # a stop token that the server does not send
    else:
        text = stops.text_of(answer.text)
        kept, source = encode(text), RETOKENISED
        moments = _moments_of_chunks(answer, began)
        reason = _reason(answer, stops, text_stops)
    if moments is None or len(moments) != count:
        moments = None
    return {
        "new_tokens": count,
        "token_ids": kept,
        "tokens": source,
        "text": text,
        "latency_s": latency,
        "ttft_s": answer.first - began,
        "token_times_s": moments,
        "stop_reason": reason,
    }


def _moments_of_ids(answer: Answer, began: float) -> list[float]:
    """A moment for each id: those of a chunk arrive together."""
    return [moment - began for moment, _, ids in answer.chunks for _ in ids or []]


def _moments_of_chunks(answer: Answer, began: float) -> list[float] | None:
    """A moment for each token where the chunks tell: by the counts in them, or since each holds one; else None."""
    if answer.totals and None not in answer.totals:
        grown = zip(answer.totals, [0, *answer.totals], answer.chunks, strict=False)
        return [chunk[0] - began for total, before, chunk in grown for _ in range(total - before)]
    shown = [moment - began for moment, text, _ in answer.chunks if text]
    if len(shown) == answer.new_tokens:
        return shown
    # The last token ended the text and shows none, unless it is the line break.
    ended = answer.finish_reason == "stop" and LINE_BREAK not in answer.text.lstrip()
    if ended and len(shown) == answer.new_tokens - 1:
        return [*shown, answer.last - began]
    return None


def _reason(answer: Answer, stops: Stops, text_stops: bool) -> str | None:
    """Why the text ended, as far as the answer tells it; None where it may be either of two."""
    if answer.finish_reason == "length":
        return "length"
    if stops.texts is None and LINE_BREAK in answer.text.lstrip():
        return "line_break"
    return None if text_stops else "end"
