"""Child processes that answer lines on pipes: started anew, or forked from this process with its libraries in place."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from typing import BinaryIO

from scripts.foundation import modules, parent
from scripts.inference import heartbeat

TICK_S = 0.005


def can_fork() -> bool:
    """Whether forking is safe after imports; macOS's system libraries start threads that a fork does not survive."""
    return sys.platform == "linux"


def spawned(command: list[str], without: tuple[str, ...] = ()) -> subprocess.Popen:
    """Start a command with pipes as its standard input and output; ``without`` names variables that it does not get."""
    return subprocess.Popen(
        command, env=_reduced(modules.environment(), without), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def _reduced(environment: Mapping[str, str], without: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in without}


class Forked:
    """A fork of this process that runs ``main`` with pipes as its standard input and output; as a ``Popen``.

    Only for a process that has used no GPU and started no threads of a numeric library; it ends when this process does.

    Args:
        main: what it does; it has ended when this returns.
        without: names of environment variables that it does not get.
    """

    def __init__(self, main: Callable[[], None], without: tuple[str, ...] = ()) -> None:
        asked, ask = os.pipe()
        answers, answer = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        parent_id = os.getpid()
        with warnings.catch_warnings():
            # From Python 3.12 on it warns of threads; the one of a worker only waits for the end of its input.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            _become(main, asked, answer, (ask, answers), parent_id, without)
        os.close(asked)
        os.close(answer)
        self.stdin: BinaryIO = os.fdopen(ask, "wb")
        self.stdout: BinaryIO = os.fdopen(answers, "rb")
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit status, minus the signal's number where one ended it; None while it runs."""
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended.

        Raises:
            subprocess.TimeoutExpired: it has not within so many seconds.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if until is not None and time.monotonic() > until:
                raise subprocess.TimeoutExpired("a forked process", timeout)
            time.sleep(TICK_S)
        return status

    def kill(self) -> None:
        """End it at once."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _become(
    main: Callable[[], None], asked: int, answer: int, others: tuple[int, ...], parent_id: int, without: tuple[str, ...]
) -> None:
    """Run ``main`` in the forked process and end it; nothing of this process's own is left open."""
    status = 1
    try:
        os.dup2(asked, 0)
        os.dup2(answer, 1)
        for handle in (asked, answer, *others):
            os.close(handle)
        heartbeat.close_channel()
        for name in without:
            os.environ.pop(name, None)
        os.environ[parent.PARENT] = str(parent_id)
        parent.end_with_parent()
        main()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
