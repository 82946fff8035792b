"""The reference of a run: a process of its own that takes turns with the technique, as a yardstick of the machine.

A machine drifts by the second, and both are measured within a second of each other: their ratio drifts less. Each is
idle, blocked on a pipe, while the other is timed.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.foundation import modules
from scripts.foundation.errors import StudyError
from scripts.hardware import fit
from scripts.models.stored_files import weight_files

if TYPE_CHECKING:
    import torch

    from scripts.runtime.models import Process

TURN_S = 0.05  # the least that a turn of either lasts: shorter ones would measure the change between processes
START_S = 600.0  # the longest that loading may take
ANSWER_S = 120.0  # the longest that a turn may take, many times what one request does
END_S = 10.0
LOADING = 1.5  # of the weights' bytes, what loading them takes for a moment
LEFT = 0.1  # share of the memory that must stay free for what the technique still asks for
SIZES = {"cpu": "memory", "cuda": "GPU memory"}
# The group that a rank is part of is not the reference's.
GROUP = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class ReferenceFailed(StudyError):
    """The reference process came to nothing, which is not the technique's fault: the run is made again without it."""


class Reference:
    """The resident process, seen from the worker that asks it.

    Args:
        command: what starts it; it reads a line for each turn and ends with its standard input.
        technique: its name, for messages.
        limit_s: seconds after which this process is held to hang; None where it has no limit of its own.
    """

    def __init__(self, command: list[str], technique: str, limit_s: float | None = None) -> None:
        self._technique = technique
        # Given up before this process is held to hang itself.
        self._most = math.inf if limit_s is None else limit_s / 2
        environment = {key: value for key, value in modules.environment().items() if key not in GROUP}
        self._process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._read = b""
        self.about: dict[str, Any] = {}

    def imported(self) -> None:
        """Wait until it has imported its libraries and is idle, with nothing on any device yet."""
        self._answer(START_S)

    def ready(self) -> str | None:
        """Let it load, and wait until it is warm; the reason where it can't be on this machine."""
        self._ask("load")
        self.about = self._answer(START_S)
        if "failed" in self.about:
            raise ReferenceFailed(f"the reference ({self._technique}): {self.about['failed']}")
        return self.about.get("off")

    def turn(self) -> float:
        """Let it work for a turn; mean seconds of its request.

        Raises:
            MemoryError: memory ran out there, so that the run is made again without it.
        """
        self._ask("turn")
        answer = self._answer(ANSWER_S)
        if "out_of_memory" in answer:
            raise MemoryError(f"beside it the reference ({self._technique}) had none left: {answer['out_of_memory']}")
        return float(answer["seconds"])

    def _ask(self, what: str) -> None:
        try:
            self._process.stdin.write(f"{what}\n".encode())
            self._process.stdin.flush()
        except OSError:
            raise self._ended() from None

    def _answer(self, limit: float) -> dict[str, Any]:
        """Its next line; an error where it ends first, or is silent for too long."""
        limit = min(limit, self._most)
        until = time.monotonic() + limit
        while b"\n" not in self._read:
            if not select.select([self._process.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                self._process.kill()  # it would not end by itself either
                raise ReferenceFailed(
                    f"the reference process ({self._technique}) gave no answer for {limit:g} s; look at what holds the "
                    "machine up, or set measurement.reference to 'none'."
                )
            part = os.read(self._process.stdout.fileno(), 65536)
            if not part:
                raise self._ended()
            self._read += part
        line, self._read = self._read.split(b"\n", 1)
        return json.loads(line)

    def _ended(self) -> Exception:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        if self._process.poll() == -signal.SIGKILL:
            # How the kernel ends a process when memory runs out.
            return MemoryError(f"the reference process ({self._technique}) was killed (signal 9)")
        return ReferenceFailed(
            f"the reference process ({self._technique}) ended with status {self._process.poll()} while it was needed; "
            "its message, if it left one, stands above; if memory ran out, set measurement.reference to 'none'."
        )

    def close(self) -> None:
        """End it and wait until it has: what it used then counts as this process's own."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class ReferenceClient:
    """The turns of the reference in one worker; of a group, rank 0 talks to it and the others wait.

    Args:
        asked: ``reference`` of the request: technique, settings, model, threads and digest, or why there is none.
        request: the file of the run's request, which the reference reads too.
    """

    def __init__(self, asked: dict[str, Any] | None, request: Path) -> None:
        self._asked = asked or {"reason": "The run was made without one."}
        self._request = request
        self._reference: Reference | None = None
        self._reason: str | None = self._asked.get("reason")
        self._process: Process | None = None
        self._apart: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
        self._readings: dict[str, list[float]] = {}
        self.woken = False  # on every rank: whether the reference's memory may be what is missing
        self.started = False  # on every rank: whether there are turns, or would be if there were room

    def wake(self, rank: int) -> None:
        """Start the process of the reference, to import its libraries while this one imports its own."""
        self.woken = self._reason is None
        if self.woken and rank == 0:
            command = modules.command("scripts.inference.reference_worker", "--request", str(self._request))
            self._reference = Reference(command, self._asked["technique"], self._asked.get("time_limit_s"))

    def wait(self) -> None:
        """Wait until a reference that was woken is idle again."""
        if self._reference is not None:
            self._reference.imported()

    def start(self, process: Process, apart: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        """Let the reference load where there is room for it; ``apart`` goes around each of its turns."""
        self._process, self._apart = process, apart
        if self._reason is not None:
            return
        self.started = True
        self._meet()
        if process.rank == 0:
            self._reason = missing_memory(process.device, _stored_bytes(Path(self._asked["model"]["path"])))
            if self._reason is None:
                self._reason = self._reference.ready()
            if self._reason is not None and self._reference is not None:
                self._reference.close()
                self._reference = None
        self._meet()

    def turns(self, mode: str) -> Turns:
        """The turns of a mode, whose readings are kept."""
        readings = self._readings.setdefault(mode, [])
        return Turns(self._turn if self._reference else None, self._meet, readings)

    def _turn(self) -> float:
        with self._apart():
            return self._reference.turn()

    def _meet(self) -> None:
        """Wait for the other ranks of the group; where none has a reference, there is nothing to wait for."""
        if self.started and self._process.world_size > 1:
            import torch

            torch.distributed.barrier()

    def close(self) -> None:
        """End the reference, if there is one."""
        if self._reference is not None:
            self._reference.close()

    def results(self) -> dict[str, Any]:
        """``reference`` of run.json: ``on`` with what it was and its readings, or ``off`` with the reason."""
        head = {"technique": self._asked.get("technique"), "digest": self._asked.get("digest")}
        if self._reference is None:
            return {"status": "off", **head, "reason": self._reason}
        return {"status": "on", **head, "reason": None, **self._reference.about, "readings_s": self._readings}


class Turns:
    """Readings of the reference before, between and after the batches of a mode.

    A turn is due as soon as the batches since the last one have taken ``TURN_S`` and as long as that turn took, so that
    a study takes no more than about twice as long. A batch's own reading is the mean of the two around it.

    Args:
        turn: takes a turn and returns its reading in seconds; None where there is no reference here.
        meet: waits for the other ranks.
        readings: where each reading is kept.
    """

    def __init__(self, turn: Callable[[], float] | None, meet: Callable[[], None], readings: list[float]) -> None:
        self._turn = turn
        self._meet = meet
        self._readings = readings
        self._local: list[float | None] = []
        self._waiting = 0
        self._busy = self._lasted = 0.0
        self.seconds = 0.0  # that all turns took, with the wait for other ranks

    def begin(self) -> None:
        """The turn before the first batch."""
        self._between(due=True)

    def after(self, seconds: float) -> None:
        """A batch is done that took so long; take a turn if one is due."""
        self._busy += seconds
        self._waiting += 1
        self._between(due=self._busy >= max(TURN_S, self._lasted))

    def end(self) -> list[float | None]:
        """The turn after the last batch; of each batch the reading beside it, None where there is no reference."""
        self._between(due=self._waiting > 0)
        return self._local

    def _between(self, due: bool) -> None:
        began = time.perf_counter()
        # Not until every rank is idle, and none goes on before the turn is over.
        self._meet()
        if due:
            self._take()
        self._meet()
        self.seconds += time.perf_counter() - began

    def _take(self) -> None:
        before = self._readings[-1] if self._readings else None
        if self._turn is not None:
            began = time.perf_counter()
            self._readings.append(self._turn())
            self._lasted = time.perf_counter() - began
        near = (before + self._readings[-1]) / 2 if before is not None else None
        self._local += [near] * self._waiting
        self._waiting, self._busy = 0, 0.0


def missing_memory(device: torch.device, weights: int) -> str | None:
    """Why there is no room for a reference beside the technique; None where there is.

    Its weights while they are loaded and a context must fit into what is free, and a tenth of the memory must be left.
    """
    free, total = _memory(device)
    needed = int(LOADING * weights) + 2 * fit.CONTEXT_BYTES
    if free - needed >= LEFT * total:
        return None
    return (
        f"The reference needs about {needed / 1e9:.1f} GB of {SIZES[device.type]} with {LEFT:.0%} to spare, and "
        f"{free / 1e9:.1f} of {total / 1e9:.1f} GB were free."
    )


def _memory(device: torch.device) -> tuple[int, int]:
    """Free and total bytes of the device, or of the machine."""
    if device.type == "cuda":
        import torch

        return torch.cuda.mem_get_info(device)
    import psutil

    memory = psutil.virtual_memory()
    return memory.available, memory.total


def _stored_bytes(checkpoint: Path) -> int:
    return sum(file.stat().st_size for file in weight_files(checkpoint))
