"""How a server is asked, what it is asked, and what it answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scripts.foundation.errors import StudyError

COMPLETIONS, CHAT = "completions", "chat"
KINDS = (COMPLETIONS, CHAT)

# Kinds of errors.
REFUSED = "refused"  # no connection could be made
STATUS = "status"  # an HTTP status of 300 or more
NOT_API = "not_api"  # what came is no stream of completions
STREAM_ERROR = "stream_error"  # an error inside the stream
CUT = "cut"  # the connection, or the stream, ended before the answer did
TIMEOUT = "timeout"
NO_USAGE = "no_usage"  # a whole answer without the number of its tokens
WRONG_COUNTS = "wrong_counts"  # numbers of tokens that contradict the request or the answer
ERROR_KINDS = (REFUSED, STATUS, NOT_API, STREAM_ERROR, CUT, TIMEOUT, NO_USAGE, WRONG_COUNTS)


@dataclass(frozen=True)
class Api:
    """How a server is asked.

    Attributes:
        base_url: scheme, host and port, ``http://127.0.0.1:8123``; a path in front of the API's may follow.
        path: where completions are asked for, such as ``/v1/completions``.
        kind: ``completions`` (a prompt) or ``chat`` (the prompt as the one message of a user).
        model: the model's name in the body; the empty name is left out.
        body: constant fields of every body, such as the settings of greedy decoding; they replace those made here.
        names: the server's own names of ``max_tokens`` (default ``max_tokens``), ``stop_text`` (default ``stop``),
            ``stop_tokens`` (ids; without a name the server takes none) and ``prompt_tokens`` (where the prompt's ids
            go, often ``prompt``; without a name the server takes text alone).
        token_ids: the field of a choice that holds the ids of its new tokens, or None.
        stream_options: the field of that name; ``continuous_usage_stats: true`` in it asks for the usage in each
            chunk. None leaves it out.
        headers: of every request, such as an authorisation.
    """

    base_url: str
    path: str = "/v1/completions"
    kind: str = COMPLETIONS
    model: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str | None] = field(default_factory=dict)
    token_ids: str | None = None
    stream_options: dict[str, Any] | None = field(default_factory=lambda: {"include_usage": True})
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        """Where completions are asked for."""
        return self.base_url.rstrip("/") + self.path

    def sends_ids(self, ask: Ask) -> bool:
        """Whether the prompt goes out as token ids."""
        return ask.token_ids is not None and bool(self.names.get("prompt_tokens")) and self.kind == COMPLETIONS

    def asked(self, ask: Ask) -> dict[str, Any]:
        """Return the body of a request.

        Raises:
            StudyError: the server takes no ids where the request has nothing else.
        """
        body: dict[str, Any] = {"model": self.model} if self.model else {}
        if self.sends_ids(ask):
            body[self.names["prompt_tokens"]] = list(ask.token_ids)
        elif ask.text is None:
            raise StudyError("a request has token ids alone, and the server's API takes text; give the prompt's text.")
        elif self.kind == CHAT:
            body["messages"] = list(ask.messages) or [{"role": "user", "content": ask.text}]
        else:
            body["prompt"] = ask.text
        body[self.names.get("max_tokens") or "max_tokens"] = ask.max_new_tokens
        if ask.stop_tokens:
            if not (name := self.names.get("stop_tokens")):
                raise StudyError(
                    "requests stop at token ids, and the server's API has no field for them; "
                    "set names.stop_tokens of its preset, or stop at text."
                )
            body[name] = list(ask.stop_tokens)
        if ask.stop_text:
            body[self.names.get("stop_text") or "stop"] = list(ask.stop_text)
        body["stream"] = True
        if self.stream_options is not None:
            body["stream_options"] = self.stream_options
        return body | self.body | ask.extra


@dataclass(frozen=True)
class Ask:
    """One request.

    Attributes:
        text: the prompt's text; None where there are ids alone.
        token_ids: the prompt's ids, sent instead of the text where the API takes them; or None.
        max_new_tokens: where the answer is cut off at the latest.
        stop_tokens: ids at which the answer ends.
        stop_text: texts at which the answer ends.
        extra: further fields of the body; they replace those of the API.
        id: a name of the caller's, sent to nobody.
        messages: of a chat; without any, the text is the one message of a user.
    """

    text: str | None
    token_ids: tuple[int, ...] | None = None
    max_new_tokens: int = 16
    stop_tokens: tuple[int, ...] = ()
    stop_text: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    id: str = ""
    messages: tuple[dict[str, str], ...] = ()


@dataclass(slots=True)
class Answer:
    """What came of a request; moments are seconds of ``time.perf_counter``.

    Attributes:
        due: when it should have been sent; where nothing was due, when it was sent.
        sent: when it was handed to the connection.
        ended: when nothing more was to come, or the error was met.
        chunks: moment, text and ids (None where the API has none) of each chunk that brought tokens or the end of
            the answer. Chunks that were read together have the same moment.
        totals: new tokens up to each chunk, where the server says so in every chunk; else None for each.
        text: the whole text, as far as it came.
        token_ids: the new tokens' ids, or None where the API has none.
        prompt_tokens: by the server's usage alone, or None.
        new_tokens: by the server's usage alone, or None.
        usage: all that the server's usage says, as it came; or None.
        finish_reason: the server's own word, such as ``stop`` or ``length``.
        error: None, or one sentence that is safe to print.
        error_kind: one of ERROR_KINDS, or None.
        status_code: of HTTP; None where no answer came.
        id: of the request.
    """

    due: float
    sent: float
    ended: float = 0.0
    chunks: list[tuple[float, str, list[int] | None]] = field(default_factory=list)
    totals: list[int | None] = field(default_factory=list)
    text: str = ""
    token_ids: list[int] | None = None
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    usage: dict[str, Any] | None = None
    finish_reason: str | None = None
    error: str | None = None
    error_kind: str | None = None
    status_code: int | None = None
    id: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is a whole answer with the numbers of its tokens."""
        return self.error_kind is None

    @property
    def first(self) -> float | None:
        """When the first new token was there; None where none came."""
        return self.chunks[0][0] if self.chunks else None

    @property
    def last(self) -> float | None:
        """When the last new token was there: the last chunk that brought tokens or the end; None where none came."""
        return self.chunks[-1][0] if self.chunks else None

    def fail(self, kind: str, sentence: str) -> None:
        """Note an error; the first one stays."""
        if self.error_kind is None:
            self.error_kind, self.error = kind, sentence
