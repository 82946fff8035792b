import contextlib
import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from scripts.foundation import modules
from tests.support.worker_runs import request

LENGTH, SLOTS = 100, 3


class Started:
    """A server in processes of its own."""

    def __init__(self, process: subprocess.Popen, log: Path) -> None:
        self.process, self.log = process, log
        self.url = ""

    def wait_until_ready(self) -> None:
        while self.process.poll() is None:
            found = re.search(r"(http://\S+) serves", self.log.read_text())
            if found:
                self.url = found[1]
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
        raise AssertionError(self.log.read_text())

    @property
    def processes(self) -> list[psutil.Process]:
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]


@contextlib.contextmanager
def started(folder: Path, run: dict, *options: str) -> Iterator[Started]:
    """The server of a run's request."""
    path = folder / "request.json"
    path.write_text(json.dumps(run))
    with process(folder, "scripts.serve", "--request", str(path), "--port", "0", *options) as made:
        yield made


@contextlib.contextmanager
def process(folder: Path, module: str, *arguments: str) -> Iterator[Started]:
    """A server as a module runs it, which is over at the end of the block with all its processes."""
    log = folder / "log"
    command = modules.command(module, *arguments)
    with log.open("w") as written:
        own = subprocess.Popen(
            command, env=modules.environment(), stderr=written, stdin=subprocess.DEVNULL,
            # Also where the tests run in the background of a shell, which lets SIGINT be ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
    try:
        yield Started(own, log)
    finally:
        left = []
        if own.poll() is None:
            left = psutil.Process(own.pid).children(recursive=True)
            own.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                own.wait(20)
        for each in [*left, own]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        own.wait()


@pytest.fixture(scope="module")
def run(checkpoint, evaluation_set) -> Callable[..., dict]:
    """The request of a run of the random model."""
    return lambda **facets: request(checkpoint, evaluation_set, {"engine": "graph"} | facets)


@pytest.fixture(scope="module")
def server(tmp_path_factory, run) -> Iterator[Started]:
    options = ("--max-length", str(LENGTH), "--slots", str(SLOTS), "--fronts", "2", "--name", "writer")
    with started(tmp_path_factory.mktemp("server"), run(), *options) as made:
        made.wait_until_ready()
        yield made
