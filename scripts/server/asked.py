"""What a client asks for: the body of a request, checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from scripts.foundation.wording import shown

MAX_TOKENS = 16  # where the client does not say, as OpenAI's API has it
CHAT_MAX_TOKENS = 1024
MOST_STOPS = 16  # texts
MOST_LOGPROBS = 20  # of the likeliest tokens
LONGEST_TOKEN = 256  # characters; those of common tokenizers have up to 128, all of them spaces
# What would need other logits or several answers; the value that asks for neither is taken.
NEUTRAL = {
    "n": (1,), "best_of": (1,), "presence_penalty": (0,), "frequency_penalty": (0,),
    "repetition_penalty": (1,), "echo": (False,), "suffix": ("",), "top_logprobs": (0,),
    "prompt_logprobs": (), "logit_bias": ({},), "tools": ([],), "response_format": ({"type": "text"},),
    "min_tokens": (0,),
}  # fmt: skip


class RefusedError(Exception):
    """A request that is not answered; one sentence, the HTTP status, and the field that is at fault."""

    def __init__(self, sentence: str, status: int = 400, field: str | None = None) -> None:
        super().__init__(sentence)
        self.status, self.field = status, field


@dataclass(frozen=True)
class Served:
    """What the server takes.

    Attributes:
        names: of the model.
        max_length: tokens of a prompt and its answer together.
        vocabulary: token ids that the model knows.
        ends: the model's end tokens.
        logprobs: whether its engine tells log-probabilities.
        sampling: how answers are drawn where a request does not say, as the study has it; None where none can be.
    """

    names: tuple[str, ...]
    max_length: int
    vocabulary: int
    ends: frozenset[int]
    logprobs: bool = False
    sampling: dict[str, Any] | None = None


@dataclass(frozen=True)
class Asked:
    """A checked request.

    Attributes:
        prompt: token ids, or text; a chat has ``messages`` in place of it.
        max_tokens: the most new tokens; None: as many as fit.
        stops: ids after which the answer ends.
        stop_text: texts before which it ends.
        stream: whether it goes out token by token.
        usage: whether a stream ends with the numbers of its tokens.
        running_usage: whether each chunk of a stream has them.
        stop_after_text: whether those of the stops that are line breaks end it only once it has text.
        logprobs: how many of the likeliest tokens are told beside each new one; 0: no log-probabilities.
        tokens_as_ids: whether those tokens are written ``token_id:17``, since texts do not tell tokens apart.
        drawn: temperature, top_p, top_k (0: no limit), seed and draw, where the answer is drawn; else None.
    """

    prompt: list[int] | str | None
    messages: list[dict[str, Any]] | None
    max_tokens: int | None
    stops: tuple[int, ...]
    stop_text: tuple[str, ...]
    stream: bool
    usage: bool
    running_usage: bool
    stop_after_text: bool = False
    logprobs: int = 0
    tokens_as_ids: bool = False
    drawn: tuple[float, float, int, int, int] | None = None


def read(body: bytes, served: Served, *, chat: bool) -> Asked:
    """Read and check a body.

    Raises:
        RefusedError: it is wrong, or asks for what this server does not do.
    """
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedError("The body is no JSON.") from None
    if not isinstance(given, dict):
        raise RefusedError("The body is no JSON object.")
    model = given.get("model")
    if model is not None and model not in served.names:
        raise RefusedError(f"The model {shown(model)} does not exist; this one is {served.names[0]!r}.", 404, "model")
    for name, neutral in NEUTRAL.items():
        value = given.get(name)
        if value is not None and value not in neutral and not (name == "min_tokens" and given.get("ignore_eos")):
            raise RefusedError(f"{name} is {shown(value)}; this server gives one answer a request, by the model's own "
                               f"logits, and takes no {name}.", field=name)  # fmt: skip
    prompt = messages = None
    if chat:
        messages = _messages(given.get("messages"))
    else:
        prompt = _prompt(given.get("prompt"), served)
    limit = _whole(given, "max_completion_tokens") if chat else None
    limit = _whole(given, "max_tokens") if limit is None else limit
    if limit is None and not chat:
        limit = MAX_TOKENS
    ignore = _flag(given, "ignore_eos")
    options = given.get("stream_options")
    if not isinstance(options, dict | None):
        raise RefusedError("stream_options is no object.", field="stream_options")
    options = options or {}
    stops = {*_ids(given.get("stop_token_ids") or [], served, "stop_token_ids"), *(() if ignore else served.ends)}
    return Asked(
        prompt, messages, limit, tuple(sorted(stops)), _stop_text(given.get("stop")), _flag(given, "stream"),
        _flag(options, "include_usage"), _flag(options, "continuous_usage_stats"),
        _flag(given, "stop_after_text"), _logprobs(given.get("logprobs"), served, chat),
        _flag(given, "return_tokens_as_token_ids"), _drawn(given, served.sampling),
    )  # fmt: skip


def check_text(text: str, served: Served) -> str:
    """A text that may fit, before the work of splitting it into tokens.

    Raises:
        RefusedError: no tokens are so long that it fits, or it holds half of a surrogate pair, as JSON's escapes can.
    """
    if len(text) > LONGEST_TOKEN * served.max_length:
        raise RefusedError(
            f"The prompt has {len(text)} characters, far more than the {served.max_length} tokens that this server "
            "takes; shorten it.", field="prompt",
        )  # fmt: skip
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RefusedError("The prompt is no Unicode text: it has half of a surrogate pair.", field="prompt") from None
    return text


def check_length(prompt: int, max_tokens: int | None, served: Served) -> int:
    """The most new tokens after a prompt of so many.

    Raises:
        RefusedError: they don't fit.
    """
    if not prompt:
        raise RefusedError("The prompt has no token.", field="prompt")
    room = served.max_length - prompt
    if room < (max_tokens or 1):
        raise RefusedError(
            f"A prompt of {prompt} tokens and {max_tokens or 1} new ones are more than the {served.max_length} that "
            "this server takes together; shorten the prompt, or start the server with a larger --max-length.",
            field="prompt" if room < 1 else "max_tokens",
        )
    return max_tokens or min(room, CHAT_MAX_TOKENS)


def _prompt(value: Any, served: Served) -> list[int] | str:
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list | str):
        value = value[0]
    if isinstance(value, str):
        if not value:
            raise RefusedError("The prompt is empty.", field="prompt")
        return value
    if not isinstance(value, list) or not value:
        raise RefusedError("A request has one prompt: text, or a list of token ids.", field="prompt")
    return _ids(value, served, "prompt")


def _ids(value: Any, served: Served, name: str) -> list[int]:
    # A set of types, since a bool is an int.
    if not isinstance(value, list) or (value and set(map(type, value)) != {int}):
        raise RefusedError(f"{name} is no list of token ids.", field=name)
    if value and not 0 <= min(value) <= max(value) < served.vocabulary:
        raise RefusedError(f"{name} has a token id outside 0 to {served.vocabulary - 1}.", field=name)
    return value


def _messages(value: Any) -> list[dict[str, Any]]:
    right = isinstance(value, list) and value and all(
        isinstance(each, dict) and isinstance(each.get("role"), str) and isinstance(each.get("content"), str)
        for each in value
    )  # fmt: skip
    if not right:
        raise RefusedError("messages is no list of messages with role and content, both text.", field="messages")
    return value


def _whole(given: dict[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is not None and (type(value) is not int or value < 1):
        raise RefusedError(f"{name} is {shown(value)}; give a whole number from 1.", field=name)
    return value


def _logprobs(value: Any, served: Served, chat: bool) -> int:
    if value is None or value is False or (type(value) is int and value == 0):
        return 0
    if chat or not served.logprobs:
        what = "a chat" if chat else "this technique's engine"
        raise RefusedError(f"logprobs is {shown(value)}; {what} has no log-probabilities here.", field="logprobs")
    if type(value) is not int or not 1 <= value <= MOST_LOGPROBS:
        raise RefusedError(f"logprobs is {shown(value)}; give a whole number from 1 to {MOST_LOGPROBS}, or 0 for none.",
                           field="logprobs")  # fmt: skip
    return value


def _drawn(given: dict[str, Any], study: dict[str, Any] | None) -> tuple[float, float, int, int, int] | None:
    """How the answer is drawn; what the request leaves open is as in the study."""
    own = study or {"temperature": 0, "top_p": 1, "top_k": None, "seed": 0}
    temperature = _number(given, "temperature", own["temperature"], most=10)
    top_p = _number(given, "top_p", own["top_p"], most=1)
    top_k = _integer(given, "top_k", own["top_k"] or 0, least=-1)
    seed, draw = _integer(given, "seed", own["seed"]), _integer(given, "draw", 0)
    if not temperature:
        return None
    if study is None:
        raise RefusedError(
            f"temperature is {shown(temperature)}, and this server writes the most likely tokens; start it with a "
            "study whose generation.temperature is above 0.", field="temperature",
        )  # fmt: skip
    if not top_p:
        raise RefusedError("top_p is 0, which leaves no token; give a number above 0, up to 1.", field="top_p")
    for name, value, unlimited in (("top_p", top_p, top_p == 1), ("top_k", top_k, top_k < 1)):
        if not unlimited and own[name] in (None, 1):
            raise RefusedError(
                f"{name} is {shown(value)}, and this server was started without that filter; start it with a study "
                f"that sets generation.{name}.", field=name,
            )  # fmt: skip
    return float(temperature), float(top_p), max(top_k, 0), seed, draw


def _number(given: dict[str, Any], name: str, own: float, *, most: float) -> float:
    value = given.get(name)
    value = own if value is None else value
    if type(value) not in (int, float) or not 0 <= value <= most:
        raise RefusedError(f"{name} is {shown(value)}; give a number from 0 to {most}.", field=name)
    return value


def _integer(given: dict[str, Any], name: str, own: int, *, least: int = 0) -> int:
    value = given.get(name)
    value = own if value is None else value
    if type(value) is not int or not least <= value < 1 << 63:
        raise RefusedError(f"{name} is {shown(value)}; give a whole number from {least}.", field=name)
    return value


def _flag(given: dict[str, Any], name: str) -> bool:
    value = given.get(name)
    if not isinstance(value, bool | None):
        raise RefusedError(f"{name} is {shown(value)}; give true or false.", field=name)
    return bool(value)


def _stop_text(value: Any) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value or []
    if not isinstance(texts, list) or len(texts) > MOST_STOPS or not all(isinstance(each, str) for each in texts):
        raise RefusedError(f"stop is no text and no list of up to {MOST_STOPS} texts.", field="stop")
    return tuple(each for each in texts if each)
