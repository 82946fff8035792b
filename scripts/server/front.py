"""A front: a process that speaks HTTP and hands requests to the engine's process; several share one port.

It reads requests, tokenises and detokenises, so that the engine's process has its Python time for itself. A message of
the engine holds all new tokens of this front's requests, and each goes out as it comes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import itertools
import os
import signal
import socket
from typing import Any

from aiohttp import HttpVersion11, web
from tokenizers import Tokenizer

from scripts.foundation import parent
from scripts.server import asked as asking
from scripts.server import frames
from scripts.server.answers import Answer, error
from scripts.server.asked import RefusedError, Served
from scripts.server.chat import Template

LARGEST_BODY = 16 * 1024**2  # bytes
READ_BYTES = 1 << 20
END_LIMIT_S = 10.0  # for answers that are under way when the engine ends


def main() -> None:
    """Serve until the engine's process ends."""
    parser = argparse.ArgumentParser(description="A front of the server, started by scripts.serve.")
    parser.add_argument("--listen", type=int, required=True, help="file descriptor of the listening socket")
    parser.add_argument("--engine", type=int, required=True, help="file descriptor of the socket to the engine")
    arguments = parser.parse_args()
    parent.end_with_parent()
    # The engine's process says when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    listening, engine = socket.socket(fileno=arguments.listen), socket.socket(fileno=arguments.engine)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(Front(engine).run(listening))


class Front:
    """The routes, and the answers under way."""

    def __init__(self, engine: socket.socket) -> None:
        self._engine = engine
        self._numbers = itertools.count()
        self._answers: dict[int, Answer] = {}
        self._counts: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._info: dict[str, Any] | None = None  # once the engine is ready
        self._ending = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None

    async def run(self, listening: socket.socket) -> None:
        """Serve until the engine's end of the socket closes."""
        reader, self._writer = await asyncio.open_connection(sock=self._engine, limit=READ_BYTES)
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[_errors_as_json])
        app.router.add_post("/v1/completions", self._completions)
        app.router.add_post("/v1/chat/completions", self._chats)
        for path in ("/health", "/v1/models", "/version", "/metrics", "/evidence"):
            app.router.add_get(path, getattr(self, "_" + path.rsplit("/", 1)[-1]))
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=END_LIMIT_S)
        await runner.setup()
        site = web.SockSite(runner, listening, backlog=4096)
        await site.start()
        ended = asyncio.create_task(self._listen(reader))
        stopping = asyncio.create_task(self._ending.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await site.stop()
        await ended
        for answer in list(self._answers.values()):
            answer.failed("The engine has ended.")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(runner.cleanup(), END_LIMIT_S)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        unpacker = frames.Unpacker()
        while data := await _read(reader):
            for message in unpacker.feed(data):
                self._take(message)

    def _take(self, message: tuple[Any, ...]) -> None:
        kind = message[0]
        if kind == "tokens":
            for number, tokens, reason in message[1]:
                answer = self._answers.get(number)
                if answer is not None and not answer.take(tokens, reason):
                    self._send(("cancel", number))
        elif kind == "logprobs":
            for number, *told in message[1]:
                if number in self._answers:
                    self._answers[number].tell(*told)
        elif kind == "refused":
            if message[1] in self._answers:
                self._answers[message[1]].failed(message[2])
        elif kind == "counts":
            if message[1] in self._counts:
                self._counts.pop(message[1]).set_result(message[2])
        elif kind == "ready":
            self._ready(message[1])
        elif kind == "end":
            self._ending.set()

    def _ready(self, info: dict[str, Any]) -> None:
        self._served = Served(
            tuple(info["names"]), info["max_length"], info["vocabulary"], frozenset(info["ends"]), info["logprobs"],
            info["sampling"],
        )  # fmt: skip
        self._tokenizer = Tokenizer.from_str(info["tokenizer"])
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        # As in the study: a special token in a text is text, unless prompts are chats, which write them.
        self._tokenizer.encode_special_tokens = info["special_tokens_are_text"]
        self._chat_tokenizer = self._tokenizer
        if info["special_tokens_are_text"]:
            self._chat_tokenizer = Tokenizer.from_str(info["tokenizer"])
            self._chat_tokenizer.no_padding()
            self._chat_tokenizer.no_truncation()
        self._template = Template(info["chat_template"], info["special_tokens"])
        self._info = info
        gc.collect()
        gc.freeze()  # a collection among the libraries' objects would be felt by every answer
        self._send(("up", 0))

    def _send(self, message: tuple[Any, ...]) -> None:
        self._writer.write(frames.pack(message))

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, chat=False)

    async def _chats(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, chat=True)

    async def _answer(self, request: web.Request, *, chat: bool) -> web.StreamResponse:
        try:
            if self._info is None or self._ending.is_set():
                raise RefusedError("The server is not ready, or is about to end; try again.", 503)
            asked = asking.read(await request.read(), self._served, chat=chat)
            if asked.stream and request.version < HttpVersion11:
                raise RefusedError("A stream needs HTTP/1.1.", field="stream")
            prompt = self._tokens(asked)
            limit = asking.check_length(len(prompt), asked.max_tokens, self._served)
        except RefusedError as refused:
            return web.json_response(error(str(refused), refused.status, refused.field), status=refused.status)
        number = next(self._numbers)
        model = self._served.names[0]
        answer = Answer(f"{os.getpid()}-{number}", asked, prompt, self._tokenizer, model, chat=chat)
        response = None
        if asked.stream:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
            response.enable_chunked_encoding()
            try:
                await response.prepare(request)
            except ConnectionError:  # the client has gone, so that nothing is asked of the engine
                return response
            answer.transport = request.transport
            opening = answer.opening()
            if opening and answer.transport is not None:
                answer.transport.write(opening)
        self._answers[number] = answer
        told = (asked.stops, asked.stop_after_text, asked.logprobs, asked.drawn)
        self._send(("ask", number, prompt, limit, *told))
        try:
            failure = await answer.ended
        except asyncio.CancelledError:  # the client has gone
            self._send(("cancel", number))
            raise
        finally:
            del self._answers[number]
        if response is not None:
            return response  # aiohttp ends it, and minds no client that has gone
        if failure is not None:
            return web.json_response(error(failure, 500), status=500)
        return web.json_response(answer.whole())

    def _tokens(self, asked: asking.Asked) -> list[int]:
        if asked.messages is not None:
            text = asking.check_text(self._template.prompt(asked.messages), self._served)
            # The template writes the begin token itself.
            return self._chat_tokenizer.encode(text, add_special_tokens=False).ids
        if not isinstance(asked.prompt, str):
            return asked.prompt
        return self._tokenizer.encode(asking.check_text(asked.prompt, self._served)).ids

    async def _health(self, request: web.Request) -> web.Response:
        if self._info is None or self._ending.is_set():
            return web.json_response({"status": "not ready"}, status=503)
        return web.json_response({"status": "ok"})

    def _known(self) -> dict[str, Any]:
        if self._info is None:
            raise web.HTTPServiceUnavailable
        return self._info

    async def _models(self, request: web.Request) -> web.Response:
        info = self._known()
        shared = {"object": "model", "owned_by": "udaciheadline", "max_model_len": info["max_length"]}
        return web.json_response({"object": "list", "data": [{"id": name, **shared} for name in info["names"]]})

    async def _version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": self._known()["version"]})

    async def _metrics(self, request: web.Request) -> web.Response:
        self._known()
        lines = []
        for name, value in (await self._counted()).items():
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [f"# TYPE udaciheadline_{name} {kind}", f"udaciheadline_{name} {value}"]
        return web.Response(text="\n".join(lines) + "\n", content_type="text/plain", charset="utf-8")

    async def _evidence(self, request: web.Request) -> web.Response:
        return web.json_response(self._known()["evidence"] | {"counts": await self._counted()})

    async def _counted(self) -> dict[str, Any]:
        number = next(self._numbers)
        self._counts[number] = asyncio.get_running_loop().create_future()
        self._send(("counts", number))
        return await self._counts[number]


@web.middleware
async def _errors_as_json(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as refused:
        sentence = f"{refused.reason}: {request.method} {request.path}."
        return web.json_response(error(sentence, refused.status), status=refused.status)


async def _read(reader: asyncio.StreamReader) -> bytes:
    with contextlib.suppress(ConnectionError):
        return await reader.read(READ_BYTES)
    return b""


if __name__ == "__main__":
    main()
