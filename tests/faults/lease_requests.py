"""Many processes that ask for leases at once, some of them killed, and what they were given."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

from scripts.inference import leases

DEVICES = [f"GPU-{number}" for number in range(4)]
SIZES = (1, 1, 1, 1, 2, 2, 4)
AT_ONCE = 60
HOLDS_S = 0.03  # at most


@dataclass
class Request:
    """A request, with monotonic times in seconds; None for what it did not come to.

    Attributes:
        size: devices asked for.
        came: when it asked.
        took: when it had them.
        devices: which.
        gave: when it was about to give them back, or was killed.
        killed: whether it was.
    """

    size: int
    came: float | None = None
    took: float | None = None
    devices: tuple[str, ...] = ()
    gave: float | None = None
    killed: bool = False


def ask(log: str, number: int, size: int, hold: float, dies: bool, directory: str) -> None:
    """Lease devices for a moment, and log when."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def tell(what: str, **more: object) -> None:
        os.write(file, (json.dumps({"number": number, what: time.monotonic()} | more) + "\n").encode())

    tell("came")
    with leases.lease(DEVICES, size, Path(directory)) as devices:
        tell("took", devices=devices)
        time.sleep(hold)
        tell("gave", killed=dies)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)


def run(rounds: Iterable[int], random: Random, folder: Path, deaths: float) -> list[Request]:
    """Make a request a round, ``AT_ONCE`` under way, a share ``deaths`` of them killed; returns when all are done."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.lease_requests"])
    log, directory = folder / "log", folder / "leases"
    directory.mkdir()
    requests: list[Request] = []
    under_way: dict[int, multiprocessing.process.BaseProcess] = {}
    to_die: dict[int, float] = {}

    def step(most: int) -> None:
        while len(under_way) >= most and under_way:
            for number in [each for each, at in to_die.items() if time.monotonic() > at]:
                del to_die[number]
                # What it logged by itself before the signal comes, its end among it, counts before this does.
                requests[number].gave, requests[number].killed = time.monotonic(), True
                with contextlib.suppress(ProcessLookupError, KeyError):
                    os.kill(under_way[number].pid, signal.SIGKILL)
            for number in [each for each, process in under_way.items() if not process.is_alive()]:
                under_way.pop(number).join()
                to_die.pop(number, None)
            time.sleep(0.002)

    try:
        for number in rounds:
            size, hold, dies = random.choice(SIZES), random.uniform(0, HOLDS_S), random.random() < deaths / 2
            requests.append(Request(size))
            under_way[number] = context.Process(target=ask, args=(str(log), number, size, hold, dies, str(directory)))
            under_way[number].start()
            if random.random() < deaths / 2:
                to_die[number] = time.monotonic() + random.expovariate(1 / 0.5)
            step(AT_ONCE)
        step(1)
    finally:
        for process in under_way.values():
            process.kill()
    for line in map(json.loads, log.read_text(encoding="utf-8").splitlines()):
        request = requests[line.pop("number")]
        for key, value in line.items():
            setattr(request, key, tuple(value) if key == "devices" else value or request.killed)
    return requests


def doubles(requests: list[Request]) -> int:
    """How often a device was taken while another request had it."""
    found = 0
    for device in DEVICES:
        times = sorted((each.took, each.gave) for each in requests if each.took and device in each.devices)
        found += sum(later[0] < earlier[1] for earlier, later in pairwise(times))
    return found


def overtaken(request: Request, requests: list[Request]) -> int:
    """How many requests that came later had their devices earlier."""
    return sum(1 for each in requests if each.took and each.took < request.took and each.came > request.came)
