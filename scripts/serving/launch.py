"""Starts a server by its preset, waits until it is ready, and ends it with all that it started, whatever happens."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from scripts.foundation import modules, parent
from scripts.foundation.wording import one_line, shown
from scripts.serving import answers, endings, executables, guard, placeholders, secret_values
from scripts.serving.errors import MissingServerError, PortTakenError, ServerError
from scripts.serving.identity import api_of, identify
from scripts.serving.running import Running, ServerSpec, Values

__all__ = ["Running", "ServerSpec", "Values", "attached", "free_port", "launched"]

HOST = "127.0.0.1"
POLL_S = 0.05
PORTS = 3  # tries where another program took the port meanwhile
# The server is no rank of the run's group.
GROUP = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", parent.PARENT, parent.RUN)


@contextlib.contextmanager
def launched(
    spec: ServerSpec, values: Values, log: Path, waiting: Callable[[], None] = lambda: None, mark: str | None = None
) -> Iterator[Running]:
    """Start a server for the block, on a free port of this machine.

    Args:
        spec: the server.
        values: for its preset's placeholders.
        log: file for what it writes; an older one is replaced.
        waiting: called again and again until it is ready, so that the caller can show a sign of life.
        mark: what all its processes are found by; one of its own by default.

    Raises:
        MissingServerError: its program is not there.
        ServerOutOfMemoryError: it ended for lack of memory.
        WrongModelError: it serves another model.
        ServerError: it ended early, or was not ready in time.
    """
    program = _program(spec)
    mark = mark or secrets.token_hex(16)
    with contextlib.ExitStack() as ending:
        for attempt in range(PORTS):
            port = free_port()
            named = values.by_name() | {"port": port, "executable": str(program)}
            command = placeholders.words([*spec.preset["command"], *spec.arguments], named)
            began = time.monotonic()
            process = ending.enter_context(_guarded(spec, command, named, mark, log))
            try:
                _wait_until_ready(spec, process, mark, port, log, waiting)
                break
            except PortTakenError as error:
                ending.close()
                if attempt + 1 == PORTS:
                    raise ServerError(str(error)) from None
        facts = {"port": port, "start_s": time.monotonic() - began}
        running = Running(
            spec, named, api_of(spec, named, f"http://{HOST}:{port}"), None, command, facts, log, process, mark
        )
        identify(running)
        yield running


@contextlib.contextmanager
def attached(spec: ServerSpec, values: Values, url: str) -> Iterator[Running]:
    """A server that already runs at an address; it is asked, and neither started nor ended.

    Raises:
        WrongModelError: it serves another model.
        ServerError: it is not ready.
    """
    named = values.by_name()
    running = Running(spec, named, api_of(spec, named, url), started_here=False)
    path = spec.preset["ready"]["path"]
    code, said = answers.status(running.url(path), headers=running.api.headers)
    if code != 200:
        raise ServerError(
            f"the endpoint {shown(url)[1:-1]} is not ready: {path} gives {one_line(said) or f'status {code}'}; start "
            "it, or correct engine.url."
        )
    identify(running)
    yield running


def free_port() -> int:
    """A port of this machine that no program listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _program(spec: ServerSpec) -> Path | str:
    name = spec.preset.get("executable") or next(iter(spec.preset["command"]), None)
    if name is None:
        raise ServerError(f"the preset of {spec.label} has no command, so it can't be started; use engine 'endpoint'.")
    found = executables.find(name)
    if found is None:
        install = spec.preset.get("install") or "install it, or set engine.executable to its path"
        raise MissingServerError(f"The program {shown(name)[1:-1]} of {spec.label} is not there; {install}.")
    return found


@contextlib.contextmanager
def _guarded(
    spec: ServerSpec, command: list[str], named: dict[str, Any], mark: str, log: Path
) -> Iterator[subprocess.Popen]:
    """Run the command under a guard; at the end all that came of it is gone."""
    inherited = {name: value for name, value in os.environ.items() if name not in GROUP}
    # What it starts by name is that of its own environment: a compiler, or Python itself.
    inherited["PATH"] = os.pathsep.join([str(Path(named["executable"]).absolute().parent), inherited.get("PATH", "")])
    own = {name: str(placeholders.fill(value, named)) for name, value in spec.preset.get("environment", {}).items()}
    own = secret_values.fill(own, "engine.environment")
    program = executables.find(command[0])
    words = [str(program) if program else command[0], *command[1:]]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as written:
        process = subprocess.Popen(
            modules.command("scripts.serving.guard", mark, str(guard.END_S), *words),
            env=inherited | {"PYTHONPATH": modules.environment()["PYTHONPATH"], "PYTHONUNBUFFERED": "1"} | own,
            stdin=subprocess.PIPE, stdout=written, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        _end(process, mark)


def _end(process: subprocess.Popen, mark: str) -> None:
    with contextlib.suppress(OSError):
        process.stdin.write(b"end\n")
        process.stdin.flush()
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(guard.END_S + guard.KILL_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # The guard may have been killed before it could.
    guard.end_all(mark)


def _wait_until_ready(
    spec: ServerSpec, process: subprocess.Popen, mark: str, port: int, log: Path, waiting: Callable[[], None]
) -> None:
    url = f"http://{HOST}:{port}{spec.preset['ready']['path']}"
    until = time.monotonic() + spec.limit_s
    said = "no answer"
    while True:
        if process.poll() is not None:
            raise endings.ended(spec.label, spec.preset, process.poll(), log, "before it was ready")
        code, problem = answers.status(url, timeout=2.0)
        if code == 200:
            _refuse_stranger(spec, mark, port)
            return
        said = problem or f"status {code}"
        if time.monotonic() > until:
            raise ServerError(
                f"{spec.label} was not ready within {spec.limit_s:g} s ({one_line(said)}){endings.last(log)}; raise "
                "engine.ready_limit_s if it needs longer."
            )
        waiting()
        time.sleep(POLL_S)


def _refuse_stranger(spec: ServerSpec, mark: str, port: int) -> None:
    """Refuse an answer of another program that took the port."""
    with contextlib.suppress(psutil.AccessDenied):
        own = set(guard.marked(mark))
        listening = [
            each.pid for each in psutil.net_connections("tcp")
            if each.status == psutil.CONN_LISTEN and each.laddr.port == port and each.pid is not None
        ]  # fmt: skip
        if listening and not own & set(listening):
            raise PortTakenError(f"Port {port} was taken by another program before {spec.label} could listen on it.")
