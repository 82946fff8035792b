"""A small server with the streaming API of OpenAI's completions, whose timings and faults are known.

    python -m tests.support.sse_server --port 8000 --service-s 0.02 --slots 1

With ``--slots 1`` it serves one request at a time, in the order of arrival and with a fixed time each, so that Poisson
arrivals make an M/D/1 queue; with ``--slots 0`` all at once. A request's chunks are due at moments that follow from
when it arrived and from the one before it, not from when a timer fired: late timers don't add up, and the queue is the
one of the theory. What really happened is measured and answered at ``/requests``. Moments are of
``time.perf_counter``, which processes of one machine share under Linux.

A request can ask for a fault itself, by the field ``fault`` of its body.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from scripts.foundation import parent
from scripts.serving.loop import run_before_others, run_exactly

ROOT = Path(__file__).parents[2]
FAULTS = (
    "stall",  # a pause of --stall-s after half of the chunks
    "status429", "status500", "status503",  # an error as JSON, of 503 as HTML
    "stream_error",  # an error inside the stream after half of the chunks
    "cut",  # the connection is closed after half of the chunks
    "html",  # status 200 and a page
    "garbage",  # no JSON inside the stream
    "empty",  # a stream that is done at once
    "hang",  # no answer at all
    "wrong_counts",  # usage says more tokens than were asked for
    "no_usage",
)  # fmt: skip
READY = "listening on port"


@dataclass
class Options:
    """What the server does; each is an option of the command line.

    Attributes:
        port: 0 takes a free one; it is printed on the first line of standard output.
        slots: requests served at the same time, 0 for all.
        service_s: from the begin of a request's service to its last chunk.
        first_s: from the begin of the service to the first chunk, whose spaces to the last are equal.
        tokens: new tokens of an answer, at most what a request asks for.
        tokens_per_chunk: the last chunk has what is left.
        model: the name that requests must give; the empty name takes all.
        token_ids: the field of a choice that carries the tokens' ids; empty: none.
        continuous_usage: put the usage so far into each chunk where a request asks for it.
        start_delay_s: how long `/health` answers 503.
        listen_delay_s: how long the port is not open.
        never_ready: `/health` answers 503 for ever.
        exit_at_start: print this to standard error and end with status 3.
        fault: one of FAULTS.
        fault_every: the fault is of every n-th request.
        stall_s: of the fault `stall`.
        dies_after: the process dies inside the answer after so many; 0: never.
        with_parent: end when the process that started this one ends, however it does.
    """

    port: int = 0
    slots: int = 1
    service_s: float = 0.01
    first_s: float = 0.0
    tokens: int = 16
    tokens_per_chunk: int = 1
    model: str = ""
    token_ids: str = ""
    continuous_usage: bool = False
    start_delay_s: float = 0.0
    listen_delay_s: float = 0.0
    never_ready: bool = False
    exit_at_start: str = ""
    fault: str = ""
    fault_every: int = 1
    stall_s: float = 1.0
    dies_after: int = 0
    with_parent: bool = False


@dataclass
class Served:
    """One request as it was served; moments in seconds of perf_counter, None where it did not come to it.

    Attributes:
        arrived: when its last byte was read.
        due_begin: when its service begins by the queue's rule.
        due_end: when its service ends by the queue's rule.
        first: when its first chunk was handed to the system.
        ended: when its last chunk was.
        prompt: as it was sent.
        tokens: new tokens.
    """

    arrived: float
    due_begin: float = 0.0
    due_end: float = 0.0
    first: float | None = None
    ended: float | None = None
    prompt: Any = None
    tokens: int = 0


@dataclass
class Server:
    """State of the server: the queue, the counters and the requests served."""

    options: Options
    served: list[Served] = field(default_factory=list)
    answered: int = 0
    prompt_tokens: int = 0
    new_tokens: int = 0
    cache_hits: int = 0
    running: int = 0
    ready_at: float = 0.0

    def __post_init__(self) -> None:
        self.free = [0.0] * self.options.slots
        self.numbers = itertools.count(1)
        self.seen: set[str] = set()

    def scheduled(self, arrived: float) -> tuple[float, float]:
        """Return when the service of the next request begins and ends."""
        begin = max(arrived, heapq.heappop(self.free)) if self.free else arrived
        end = begin + self.options.service_s
        if self.options.slots:
            heapq.heappush(self.free, end)
        return begin, end


class Connection(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.options = server.options
        self.buffer = b""
        self.timer: asyncio.Handle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, without waiting to fill packets."""
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, error: Exception | None) -> None:
        """Stop what was being answered; its place in the queue stays taken, as a batch's would."""
        if self.timer:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Collect a request and answer it."""
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.decode("latin-1").split("\r\n")
        length = next((int(line[15:]) for line in lines if line.lower().startswith("content-length:")), 0)
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        method, path, _ = lines[0].split(" ", 2)
        if method == "POST" and path in ("/v1/completions", "/v1/chat/completions"):
            self.complete(rest[:length], chat="chat" in path)
        else:
            self.look(path)

    def look(self, path: str) -> None:
        """Answer a GET."""
        server = self.server
        if path == "/health":
            ready = not self.options.never_ready and time.perf_counter() >= server.ready_at
            self.reply(200 if ready else 503, {"status": "ok" if ready else "loading the model"})
        elif path == "/v1/models":
            self.reply(200, {"object": "list", "data": [{"id": self.options.model or "any", "object": "model"}]})
        elif path == "/version":
            self.reply(200, {"version": "1.2.3"})
        elif path == "/requests":
            self.reply(200, [vars(served) for served in server.served])
        elif path == "/metrics":
            values = {
                "sse_requests_total": server.answered, "sse_running": server.running,
                "sse_prompt_tokens_total": server.prompt_tokens, "sse_generation_tokens_total": server.new_tokens,
                "sse_prefix_cache_queries_total": len(server.served), "sse_prefix_cache_hits_total": server.cache_hits,
            }  # fmt: skip
            text = "".join(f"# TYPE {name} counter\n{name} {value}\n" for name, value in values.items())
            self.reply(200, text, "text/plain; version=0.0.4")
        else:
            self.reply(404, {"error": {"message": f"there is no {path}", "code": 404}})

    def reply(self, status: int, body: Any, kind: str = "application/json") -> None:
        """Write a whole answer."""
        text = (body if isinstance(body, str) else json.dumps(body)).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\n\r\n"
        self.transport.write(head.encode() + text)

    def complete(self, raw: bytes, chat: bool) -> None:
        """Answer a completion, with its fault where it has one."""
        arrived, server, options = time.perf_counter(), self.server, self.options
        body = json.loads(raw)
        if options.model and body.get("model") != options.model:
            message = f"The model `{body.get('model')}` does not exist."
            return self.reply(404, {"error": {"message": message, "type": "NotFoundError", "code": 404}})
        number = next(server.numbers)
        fault = options.fault if options.fault and number % options.fault_every == 0 else body.get("fault", "")
        if fault.startswith("status"):
            return self.refuse(int(fault[6:]))
        if fault == "html":
            return self.reply(200, "<html><body><h1>Welcome to nginx!</h1></body></html>", "text/html")
        if fault == "hang":
            return None
        served = Served(arrived, *server.scheduled(arrived))
        served.prompt = body.get("messages") if chat else body.get("prompt")
        asked = next((body[name] for name in ("max_tokens", "max_completion_tokens", "n_predict") if name in body), 16)
        served.tokens = min(options.tokens, asked)
        server.served.append(served)
        server.running += 1
        key = json.dumps(served.prompt)
        server.cache_hits += key in server.seen
        server.seen.add(key)
        stream = Stream(self, served, body, chat, fault, options.dies_after and number > options.dies_after)
        if not body.get("stream"):
            self.timer = asyncio.get_running_loop().call_at(served.due_end, stream.whole)
        else:
            stream.begin()
        return None

    def refuse(self, status: int) -> None:
        """Answer with an error status."""
        if status == 503:
            self.reply(503, "<html><head><title>503 Service Unavailable</title></head></html>", "text/html")
        else:
            text = {429: "Too many requests.", 500: "CUDA error: an illegal\n memory access."}[status]
            self.reply(status, {"error": {"message": text, "code": status}})


class Stream:
    """The answer to one request, chunk by chunk."""

    def __init__(
        self, connection: Connection, served: Served, body: dict[str, Any], chat: bool, fault: str, dies: bool
    ) -> None:
        self.connection, self.served, self.chat, self.fault, self.dies = connection, served, chat, fault, dies
        self.server, self.options = connection.server, connection.options
        options = body.get("stream_options") or {}
        self.usage_asked = bool(options.get("include_usage"))
        self.continuous = self.options.continuous_usage and bool(options.get("continuous_usage_stats"))
        self.prompt_tokens = counted(served.prompt)
        self.chunks = max(1, -(-served.tokens // self.options.tokens_per_chunk))
        self.late = 0.0
        self.done = 0

    def begin(self) -> None:
        """Write the head at once, as servers do, and the first chunk when it is due."""
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.connection.transport.write(head.encode())
        if self.chat:
            self.write(self.event({"delta": {"role": "assistant", "content": ""}, "finish_reason": None}))
        if self.fault == "empty":
            self.write(b"data: [DONE]\n\n", last=True)
            return
        self.wait()

    def due(self) -> float:
        """Return when the next chunk is due."""
        first = self.served.due_begin + self.options.first_s
        if self.chunks == 1:
            return self.served.due_end + self.late
        return first + (self.served.due_end - first) * self.done / (self.chunks - 1) + self.late

    def wait(self) -> None:
        """Call for the next chunk when it is due."""
        self.connection.timer = asyncio.get_running_loop().call_at(self.due(), self.next)

    def next(self) -> None:
        """Write the chunk that is due, or what the fault has in its place."""
        half = self.done == self.chunks // 2
        if half and self.dies:
            os._exit(1)
        if half and self.fault == "cut":
            self.leave()
            return self.connection.transport.abort()
        if half and self.fault == "stream_error":
            self.leave()
            self.write(b'data: {"error": {"message": "the engine is\\u001b[31m dead", "code": 500}}\n\n')
            return self.write(b"data: [DONE]\n\n", last=True)
        if half and self.fault == "garbage":
            self.leave()
            return self.write(b"data: {unfinished\n\ndata: [DONE]\n\n", last=True)
        if half and self.fault == "stall" and not self.late:
            self.late = self.options.stall_s
            return self.wait()
        self.done += 1
        last = self.done == self.chunks
        events = self.event(self.choice(last))
        if last:
            if self.usage_asked and self.fault != "no_usage":
                events += self.event(None)
            events += b"data: [DONE]\n\n"
        now = time.perf_counter()
        self.write(events, last)
        if self.served.first is None:
            self.served.first = now
        if not last:
            return self.wait()
        self.served.ended = now
        return self.finish()

    def finish(self) -> None:
        """Count the answer."""
        self.leave()
        self.server.answered += 1
        self.server.prompt_tokens += self.prompt_tokens
        self.server.new_tokens += self.served.tokens

    def leave(self) -> None:
        """Count the request out of those that run."""
        self.server.running -= 1

    def whole(self) -> None:
        """Answer without a stream."""
        self.done = self.chunks
        text = " ".join(f"t{token}" for token in range(self.served.tokens))
        held = {"message": {"role": "assistant", "content": text}} if self.chat else {"text": text}
        choice = {"index": 0, "finish_reason": "length", **held}
        self.connection.reply(200, {"choices": [choice], "usage": self.usage(self.served.tokens)})
        self.served.first = self.served.ended = time.perf_counter()
        self.finish()

    def choice(self, last: bool) -> dict[str, Any]:
        """Return the choice of the chunk that is being written."""
        size = self.options.tokens_per_chunk
        tokens = range((self.done - 1) * size, min(self.done * size, self.served.tokens))
        text = "".join(f" t{token}" for token in tokens)
        choice = {"delta": {"content": text}} if self.chat else {"text": text}
        if self.options.token_ids:
            choice[self.options.token_ids] = list(tokens)
        return {"index": 0, **choice, "finish_reason": "length" if last else None}

    def event(self, choice: dict[str, Any] | None) -> bytes:
        """Return a chunk as an event; without a choice it is the usage."""
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        chunk = {"id": "cmpl-1", "object": kind, "model": self.options.model, "choices": [choice] if choice else []}
        if choice is None:
            chunk["usage"] = self.usage(self.served.tokens)
        elif self.continuous:
            chunk["usage"] = self.usage(min(self.done * self.options.tokens_per_chunk, self.served.tokens))
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"

    def usage(self, tokens: int) -> dict[str, int]:
        """Return the usage with so many new tokens."""
        if self.fault == "wrong_counts":
            tokens += 1000
        return {
            "prompt_tokens": self.prompt_tokens, "completion_tokens": tokens,
            "total_tokens": self.prompt_tokens + tokens,
        }  # fmt: skip

    def write(self, data: bytes, last: bool = False) -> None:
        """Write a piece of the chunked body."""
        self.connection.transport.write(b"%x\r\n%b\r\n%b" % (len(data), data, b"0\r\n\r\n" if last else b""))


def counted(prompt: Any) -> int:
    """Return the tokens of a prompt: its ids, or the words of its text."""
    if isinstance(prompt, list) and prompt and isinstance(prompt[0], dict):
        return sum(len(str(message.get("content", "")).split()) for message in prompt)
    return len(prompt) if isinstance(prompt, list) else len(str(prompt).split())


async def serve(options: Options) -> None:
    """Serve until the process is ended."""
    if options.exit_at_start:
        print(options.exit_at_start, file=sys.stderr, flush=True)
        sys.exit(3)
    server = Server(options, ready_at=time.perf_counter() + options.listen_delay_s + options.start_delay_s)
    await asyncio.sleep(options.listen_delay_s)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Connection(server), "127.0.0.1", options.port, backlog=4096)
    print(READY, listening.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in fields(Options):
        name = "--" + option.name.replace("_", "-")
        if isinstance(option.default, bool):
            parser.add_argument(name, action="store_true")
        else:
            choices = ("", *FAULTS) if option.name == "fault" else None
            parser.add_argument(name, type=type(option.default), default=option.default, choices=choices)
    options = Options(**vars(parser.parse_args()))
    if options.with_parent:
        parent.end_with_parent()
    run_before_others()
    run_exactly(serve(options))


@dataclass
class Started:
    """A server that runs in a process of its own."""

    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        """Return its address without a path."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> Any:
        """Return the JSON at a path."""
        from urllib.request import urlopen

        with urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def requests(self) -> list[Served]:
        """Return what it served, as it measured it."""
        return [Served(**served) for served in self.get("/requests")]


@contextmanager
def started(**options: Any) -> Iterator[Started]:
    """Start a server with these options, and end it; see Options."""
    environment = os.environ | {parent.PARENT: str(os.getpid())}
    process = subprocess.Popen(
        command(**options, with_parent=True),
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        line = process.stdout.readline()
        if not line.startswith(READY):
            raise RuntimeError(f"the test server did not start: {line!r}, status {process.wait()}")
        yield Started(process, int(line.split()[-1]))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def command(**options: Any) -> list[str]:
    """Return the command line of a server with these options."""
    known = {option.name for option in fields(Options)}
    if unknown := options.keys() - known:
        raise TypeError(f"unknown options: {', '.join(sorted(unknown))}")
    words = []
    for name, value in options.items():
        if value is not False:
            words += ["--" + name.replace("_", "-")] + ([] if value is True else [str(value)])
    return [sys.executable, "-m", "tests.support.sse_server", *words]


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


if __name__ == "__main__":
    main()
