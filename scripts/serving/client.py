"""A streaming HTTP client for servers with OpenAI's completions API; it generates load, so it is kept cheap.

Pieces of a response are stamped when they are read, and parsed when the last one is there or later still.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp

from scripts.foundation import wording
from scripts.serving import api as kinds
from scripts.serving import stream
from scripts.serving.api import Answer, Api, Ask

__all__ = ["Answer", "Api", "Ask", "Client", "Exchange", "read"]

LIMIT_S = 600.0
CONNECT_LIMIT_S = 30.0
#: Largest body that is kept of one answer: a megabyte of text in chunks of one token takes a quarter of it.
MAX_BYTES = 256 * 1024**2
#: How long a body may stay open after its last event.
END_LIMIT_S = 1.0
#: An idle connection is given up before the server closes it (uvicorn does after 5 s), perhaps under a request.
KEEP_ALIVE_S = 4.0


@dataclass(slots=True)
class Exchange:
    """A request that was sent and what came, not yet read.

    Attributes:
        answer: with its moments and status; what was found wrong with these is in its error.
        pieces: of the body, each with the moment at which it was read.
        content_type: of the response.
        whole: whether the body ended as it should.
        failure: what broke it: a kind, and the sentence where no token came and where some did; or None.
    """

    answer: Answer
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    content_type: str = ""
    whole: bool = False
    failure: tuple[str, str, str] | None = None


class Client:
    """One pool of connections to one server; an async context manager.

    Args:
        api: how the server is asked.
        limit_s: the longest a request may take from sending it to its end; then it is a timeout.
    """

    def __init__(self, api: Api, limit_s: float = LIMIT_S) -> None:
        self.api = api
        self.limit_s = limit_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # What is compressed comes in blocks and not token by token.
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", **self.api.headers}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self.limit_s, sock_connect=CONNECT_LIMIT_S),
            headers=headers,
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._session.close()

    async def send(self, ask: Ask, due: float | None = None) -> Answer:
        """Send a request and read its answer; what a server does wrong is in the answer's ``error``.

        Args:
            ask: the request.
            due: when it should have been sent, in seconds of ``time.perf_counter``; None: now.

        Raises:
            StudyError: the API can't express the request.
        """
        return read(await self.exchange(ask, due), self.api, ask)

    async def exchange(self, ask: Ask, due: float | None = None) -> Exchange:
        """Send a request and collect its answer, to be read by :func:`read` when there is time; as :meth:`send`."""
        body = json.dumps(self.api.asked(ask)).encode()
        sent = time.perf_counter()
        made = Exchange(Answer(due=sent if due is None else due, sent=sent, id=ask.id))
        try:
            async with self._session.post(self.api.url, data=body, allow_redirects=False) as response:
                made.answer.status_code = response.status
                made.content_type = response.headers.get("Content-Type", "")
                if response.status >= 300:
                    await self._refused(made.answer, response)
                else:
                    await self._collect(made, response)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            made.failure = self._described(error)
        made.answer.ended = time.perf_counter()
        return made

    async def _collect(self, made: Exchange, response: aiohttp.ClientResponse) -> None:
        """Collect the body."""
        size = 0
        content = response.content
        async for piece in content.iter_any():
            made.pieces.append((time.perf_counter(), piece))
            size += len(piece)
            if size > MAX_BYTES:
                made.answer.fail(kinds.NOT_API, f"the server's answer is longer than {MAX_BYTES // 1024**2} MiB.")
                return
            if piece.rstrip().endswith(stream.DONE):
                if not content.is_eof():
                    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
                        async with asyncio.timeout(END_LIMIT_S):
                            await content.readany()
                break
        made.whole = True

    async def _refused(self, answer: Answer, response: aiohttp.ClientResponse) -> None:
        """Note an error status with what the server says of it."""
        body = b""
        with contextlib.suppress(TimeoutError, aiohttp.ClientError):
            body = await response.content.read(10_000)
        said = stream.message(body) if body.strip() else "without a word"
        answer.fail(
            kinds.STATUS, f"the server answered {wording.shown(self.api.path)} with status {response.status}: {said}."
        )

    def _described(self, error: Exception) -> tuple[str, str, str]:
        """Return the kind of what broke the exchange, and its sentence without and with tokens that had come."""
        url = wording.one_line(self.api.base_url)
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return _same(kinds.REFUSED, f"the server at {url} took no connection within {CONNECT_LIMIT_S:g} s.")
        if isinstance(error, aiohttp.ClientConnectorError):
            return _same(kinds.REFUSED, f"no connection to the server at {url}: {_told(error.os_error)}.")
        if isinstance(error, aiohttp.InvalidURL):
            return _same(kinds.REFUSED, f"{wording.shown(self.api.url)} is no address of a server.")
        if isinstance(error, TimeoutError):
            when = f"{self.limit_s:g} s after a request was sent to {url}."
            return kinds.TIMEOUT, f"no token was there {when}", f"the last token was not there {when}"
        if isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError | OSError):
            closed = f"the server at {url} closed the connection"
            return kinds.CUT, f"{closed} before it answered.", f"{closed} before the answer was complete."
        return _same(kinds.NOT_API, f"the server at {url} doesn't speak HTTP as expected: {_told(error)}.")


def read(made: Exchange, api: Api, ask: Ask) -> Answer:
    """Return the answer that an exchange brought."""
    answer = made.answer
    stream.read(answer, made.pieces, api, ask, made.content_type, made.whole)
    if made.failure is not None:
        kind, without, with_tokens = made.failure
        answer.fail(kind, with_tokens if answer.chunks else without)
    return answer


def _same(kind: str, sentence: str) -> tuple[str, str, str]:
    return kind, sentence, sentence


def _told(error: BaseException | Any) -> str:
    return wording.shown(getattr(error, "strerror", None) or str(error) or type(error).__name__)
