"""The engine's side of its fronts: their listening sockets, their processes, and the messages to and from them."""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from scripts.foundation import modules
from scripts.foundation.errors import StudyError
from scripts.server import frames

READ_BYTES = 1 << 20
BACKLOG = 4096
END_LIMIT_S = 15.0
UP_S = 0.1  # between looks at signals, while fronts start


def listen(host: str, port: int, count: int) -> list[socket.socket]:
    """Listening sockets on one port, one for each front where the system spreads connections over them.

    Raises:
        StudyError: the port can't be listened on.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # Another program that listens there is noticed, which sockets that share a port would not.
        first = _bound(family, host, port, shared=False)
        if sys.platform != "linux" or count == 1:
            first.listen(BACKLOG)
            return [first] * count
        port = first.getsockname()[1]
        first.close()
        sockets = [_bound(family, host, port, shared=True) for _ in range(count)]
        for each in sockets:
            each.listen(BACKLOG)
        return sockets
    except OSError as error:
        said = error.strerror or error
        raise StudyError(
            f"port {port} of {host} can't be listened on ({said}); choose another --host or --port."
        ) from None


def _bound(family: int, host: str, port: int, *, shared: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made


class Front:
    """One front's process, and what is to be sent to it."""

    def __init__(self, listening: socket.socket) -> None:
        own, theirs = socket.socketpair()
        self.socket = own
        own.setblocking(False)
        command = modules.command(
            "scripts.server.front", "--listen", str(listening.fileno()), "--engine", str(theirs.fileno())
        )
        self.process = subprocess.Popen(
            command, env=modules.environment(), stdin=subprocess.DEVNULL,
            pass_fds=(listening.fileno(), theirs.fileno()),
            process_group=0,  # a terminal's interrupt is the engine's process's to handle
        )  # fmt: skip
        theirs.close()
        self.unpacker = frames.Unpacker()
        self.unsent = bytearray()

    def send(self, message: tuple[Any, ...]) -> None:
        """Send a message, or keep what its socket does not take now."""
        self.unsent += frames.pack(message)
        self.flush()

    def flush(self) -> None:
        """Send what is left."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while self.unsent:
                sent = self.socket.send(self.unsent)
                del self.unsent[:sent]


class Fronts:
    """All fronts."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        self.all = [Front(each) for each in sockets]
        for each in set(sockets):
            each.close()
        self._early: list[tuple[int, tuple[Any, ...]]] = []
        self._poll = select.poll()
        for front in self.all:
            self._poll.register(front.socket, select.POLLIN)
        self._by_fd = {front.socket.fileno(): number for number, front in enumerate(self.all)}

    def receive(self, wait_s: float) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Yield what the fronts have sent, each with its front's number, after waiting for at most so long.

        Raises:
            StudyError: a front has ended.
        """
        while self._early:
            yield self._early.pop(0)
        for front in self.all:
            if front.unsent:
                front.flush()
        for descriptor, _ in self._poll.poll(1000 * wait_s):
            number = self._by_fd[descriptor]
            front = self.all[number]
            try:
                data = front.socket.recv(READ_BYTES)
            except BlockingIOError:
                continue
            except ConnectionError:
                data = b""
            if not data:
                raise StudyError("a front of the server has ended by itself, and so the server ends; start it again.")
            for message in front.unpacker.feed(data):
                yield number, message

    def send(self, message: tuple[Any, ...]) -> None:
        """Send a message to every front."""
        for front in self.all:
            front.send(message)

    def make_ready(self, info: dict[str, Any]) -> None:
        """Tell the fronts what they must know; returns when all take requests.

        Raises:
            StudyError: a front has ended.
        """
        self.send(("ready", info))
        waiting, early = set(range(len(self.all))), []
        while waiting:
            for number, message in self.receive(UP_S):
                if message[0] == "up":
                    waiting.remove(number)
                else:  # of a client that did not wait for the last front
                    early.append((number, message))
        self._early = early

    def send_tokens(self, events: list[tuple[tuple[int, int], int, str | None]]) -> None:
        """Send the fronts the new tokens of their requests, one message each."""
        by_front: dict[int, dict[int, list[Any]]] = {}
        for (number, key), token, reason in events:
            asked = by_front.setdefault(number, {})
            known = asked.get(key)
            if known is None:
                asked[key] = [key, [token], reason]
            else:
                known[1].append(token)
                known[2] = reason
        for number, asked in by_front.items():
            self.all[number].send(("tokens", list(asked.values())))

    def send_logprobs(self, likely: list[tuple[tuple[int, int], float, list[int], list[float]]]) -> None:
        """Send the fronts the log-probabilities of tokens whose own message follows."""
        by_front: dict[int, list[Any]] = {}
        for (number, key), *told in likely:
            by_front.setdefault(number, []).append((key, *told))
        for number, told in by_front.items():
            self.all[number].send(("logprobs", told))

    def close(self) -> None:
        """End all fronts; those that don't by themselves are killed."""
        for front in self.all:
            front.socket.setblocking(True)
            with contextlib.suppress(OSError):
                front.socket.settimeout(1.0)
                front.flush()
            front.socket.close()
        for front in self.all:
            try:
                front.process.wait(END_LIMIT_S)
            except subprocess.TimeoutExpired:
                front.process.kill()
                front.process.wait()
