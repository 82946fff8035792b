"""A streaming HTTP client for servers with OpenAI's completions API; it generates load, so it is kept cheap.

Pieces of a response are stamped when they are read and parsed when the last one is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any, Self

import aiohttp

from scripts.foundation import wording
from scripts.serving import api as kinds
from scripts.serving import stream
from scripts.serving.api import Answer, Api, Ask

__all__ = ["Answer", "Api", "Ask", "Client"]

LIMIT_S = 600.0
CONNECT_LIMIT_S = 30.0
#: Largest body that is kept of one answer: a megabyte of text in chunks of one token takes a quarter of it.
MAX_BYTES = 256 * 1024**2
#: How long a body may stay open after its last event.
END_LIMIT_S = 1.0
#: An idle connection is given up before the server closes it (uvicorn does after 5 s), perhaps under a request.
KEEP_ALIVE_S = 2.0


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
        body = json.dumps(self.api.asked(ask)).encode()
        sent = time.perf_counter()
        answer = Answer(due=sent if due is None else due, sent=sent, id=ask.id)
        pieces: list[tuple[float, bytes]] = []
        content_type, whole, failure = "", False, None
        try:
            async with self._session.post(self.api.url, data=body, allow_redirects=False) as response:
                answer.status_code = response.status
                content_type = response.headers.get("Content-Type", "")
                if response.status >= 300:
                    await self._refused(answer, response)
                else:
                    whole = await self._read(answer, response, pieces)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            failure = error
        answer.ended = time.perf_counter()
        stream.read(answer, pieces, self.api, ask, content_type, whole)
        if failure is not None:
            answer.fail(*self._described(failure, answer))
        return answer

    async def _read(self, answer: Answer, response: aiohttp.ClientResponse, pieces: list[tuple[float, bytes]]) -> bool:
        """Collect the body; return whether it ended as it should."""
        size = 0
        content = response.content
        async for piece in content.iter_any():
            pieces.append((time.perf_counter(), piece))
            size += len(piece)
            if size > MAX_BYTES:
                answer.fail(kinds.NOT_API, f"the server's answer is longer than {MAX_BYTES // 1024**2} MiB.")
                return False
            if piece.rstrip().endswith(stream.DONE):
                with contextlib.suppress(TimeoutError, aiohttp.ClientError):
                    async with asyncio.timeout(END_LIMIT_S):
                        await content.readany()
                break
        return True

    async def _refused(self, answer: Answer, response: aiohttp.ClientResponse) -> None:
        """Note an error status with what the server says of it."""
        body = b""
        with contextlib.suppress(TimeoutError, aiohttp.ClientError):
            body = await response.content.read(10_000)
        said = stream.message(body) if body.strip() else "without a word"
        answer.fail(
            kinds.STATUS, f"the server answered {wording.shown(self.api.path)} with status {response.status}: {said}."
        )

    def _described(self, error: Exception, answer: Answer) -> tuple[str, str]:
        """Return kind and sentence of what broke the exchange."""
        url = wording.one_line(self.api.base_url)
        came = f"after {len(answer.chunks)} chunks" if answer.chunks else "before it answered"
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return kinds.REFUSED, f"the server at {url} took no connection within {CONNECT_LIMIT_S:g} s."
        if isinstance(error, aiohttp.ClientConnectorError):
            return kinds.REFUSED, f"no connection to the server at {url}: {_told(error.os_error)}."
        if isinstance(error, aiohttp.InvalidURL):
            return kinds.REFUSED, f"{wording.shown(self.api.url)} is no address of a server."
        if isinstance(error, TimeoutError):
            missing = "its last token was not there" if answer.chunks else "no token was there"
            return kinds.TIMEOUT, f"{missing} {self.limit_s:g} s after a request was sent to {url}."
        if isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError | OSError):
            return kinds.CUT, f"the server at {url} closed the connection {came}."
        return kinds.NOT_API, f"the server at {url} doesn't speak HTTP as expected: {_told(error)}."


def _told(error: BaseException | Any) -> str:
    return wording.shown(getattr(error, "strerror", None) or str(error) or type(error).__name__)
