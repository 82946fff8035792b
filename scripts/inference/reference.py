"""The reference process of a run, timed in turns with the technique to cancel the machine's drift.

Both are timed within a second of each other, so their ratio drifts less than either. Each is idle, blocked on a pipe,
while the other is timed.
"""

from __future__ import annotations

import contextlib
import importlib
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
from scripts.inference import child, garbage
from scripts.models.stored_files import weight_files

if TYPE_CHECKING:
    import torch

    from scripts.runtime.models import Process

TURN_S = 0.05  # minimum length of a turn: shorter ones would measure the context switch
START_S = 600.0  # the longest that loading may take
ANSWER_S = 120.0  # the longest that a turn may take, many times what one request does
END_S = 10.0
LOADING = 1.5  # peak memory of loading, as a multiple of the weights' bytes
LEFT = 0.1  # share of the memory that must stay free for the technique
SIZES = {"cpu": "memory", "cuda": "GPU memory"}
# The reference is not part of the ranks' process group.
GROUP = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class ReferenceFailed(StudyError):
    """The reference process failed, which is not the technique's fault: the run is repeated without it."""


class Reference:
    """The reference process as seen from the worker.

    Args:
        process: reads a line for each turn and ends with its standard input.
        technique: its name, for messages.
        limit_s: seconds after which this worker counts as hanging; None for no limit.
    """

    def __init__(self, process: subprocess.Popen | child.Forked, technique: str, limit_s: float | None = None) -> None:
        self._technique = technique
        # Time out before this worker itself counts as hanging.
        self._limit_s = math.inf if limit_s is None else limit_s / 2
        self._process = process
        self._read = b""
        self.about: dict[str, Any] = {}

    def wait_for_imports(self) -> None:
        """Wait until it has imported its libraries and is idle; it uses no device yet."""
        self._answer(START_S)

    def load(self) -> str | None:
        """Load it and wait until it is warm; returns the reason if it can't run on this machine."""
        self._ask("load")
        self.about = self._answer(START_S)
        if "failed" in self.about:
            raise ReferenceFailed(f"the reference ({self._technique}): {self.about['failed']}")
        return self.about.get("off")

    def turn(self) -> float:
        """Run one turn; returns the mean seconds of its request.

        Raises:
            MemoryError: it ran out of memory; the run is repeated without it.
        """
        self._ask("turn")
        answer = self._answer(ANSWER_S)
        if "out_of_memory" in answer:
            raise MemoryError(f"the reference ({self._technique}) ran out of memory: {answer['out_of_memory']}")
        return float(answer["seconds"])

    def _ask(self, what: str) -> None:
        try:
            self._process.stdin.write(f"{what}\n".encode())
            self._process.stdin.flush()
        except OSError:
            raise self._ended() from None

    def _answer(self, limit: float) -> dict[str, Any]:
        """Its next line as JSON; raises if it ends or times out."""
        limit = min(limit, self._limit_s)
        until = time.monotonic() + limit
        while b"\n" not in self._read:
            if not select.select([self._process.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                self._process.kill()  # it hangs
                raise ReferenceFailed(
                    f"the reference process ({self._technique}) gave no answer for {limit:g} s; check the load of the "
                    "machine, or set measurement.reference to 'none'."
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
        """End it and wait, so that its CPU time is accounted to this process."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class ReferenceClient:
    """The reference as used by one worker; in a process group, rank 0 talks to it and the others wait.

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
        self._paused: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
        self._readings: dict[str, list[float]] = {}
        self.launched = False  # on every rank: whether the reference may have used up memory
        self.started = False  # on every rank: whether there are turns, or would be with enough memory

    def launch(self, run: dict[str, Any], rank: int) -> None:
        """Start the reference process.

        On a CPU it is a fork of this one, made when the libraries that both need are imported, which takes longest; a
        process that is to use a GPU has to start by itself, and imports its libraries in parallel to this one.

        Args:
            run: the request of the run.
            rank: this process's place in its group; the first has the reference.
        """
        self.launched = self._reason is None
        if not self.launched or rank != 0:
            return
        if run["device"] == "cpu" and child.can_fork():
            # By name: it is a worker itself, and so imports what imports this.
            served = importlib.import_module("scripts.inference.reference_worker")
            served.import_libraries(run)
            garbage.freeze_libraries()
            process = child.Forked(lambda: served.serve(self._request), GROUP)
        else:
            command = modules.command("scripts.inference.reference_worker", "--request", str(self._request))
            process = child.spawned(command, GROUP)
        self._reference = Reference(process, self._asked["technique"], self._asked.get("time_limit_s"))

    def wait_for_imports(self) -> None:
        """Wait until a reference that was launched is idle again."""
        if self._reference is not None:
            self._reference.wait_for_imports()

    def start(self, process: Process, paused: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        """Load the reference if memory allows; ``paused`` is entered around each of its turns."""
        self._process, self._paused = process, paused
        if self._reason is not None:
            return
        self.started = True
        self._barrier()
        if process.rank == 0:
            self._reason = missing_memory(process.device, _stored_bytes(Path(self._asked["model"]["path"])))
            if self._reason is None:
                self._reason = self._reference.load()
            if self._reason is not None and self._reference is not None:
                self._reference.close()
                self._reference = None
        self._barrier()

    def turns(self, mode: str) -> Turns:
        """The turns of a mode; its readings are kept."""
        readings = self._readings.setdefault(mode, [])
        return Turns(self._turn if self._reference else None, self._barrier, readings)

    def _turn(self) -> float:
        with self._paused():
            return self._reference.turn()

    def _barrier(self) -> None:
        """Barrier over the ranks, if there is a reference."""
        if self.started and self._process.world_size > 1:
            import torch

            torch.distributed.barrier()

    def close(self) -> None:
        """End the reference, if there is one."""
        if self._reference is not None:
            self._reference.close()

    def results(self) -> dict[str, Any]:
        """``reference`` of run.json: ``on`` with its readings, or ``off`` with the reason."""
        head = {"technique": self._asked.get("technique"), "digest": self._asked.get("digest")}
        if self._reference is None:
            return {"status": "off", **head, "reason": self._reason}
        return {"status": "on", **head, "reason": None, **self._reference.about, "readings_s": self._readings}


class Turns:
    """Readings of the reference before, between and after the batches of a mode.

    A turn is due once the batches since the last one took at least ``TURN_S`` and as long as that turn, so that a study
    takes at most about twice as long. A batch's reading is the mean of the two around it.

    Args:
        turn: runs a turn and returns its reading in seconds; None without a reference.
        barrier: waits for the other ranks.
        readings: list to which readings are appended.
    """

    def __init__(self, turn: Callable[[], float] | None, barrier: Callable[[], None], readings: list[float]) -> None:
        self._turn = turn
        self._barrier = barrier
        self._readings = readings
        self._local: list[float | None] = []
        self._waiting = 0
        self._busy = self._lasted = 0.0
        self.seconds = 0.0  # of all turns, waits for other ranks included

    def begin(self) -> None:
        """The turn before the first batch."""
        self._between(due=True)

    def after(self, seconds: float) -> None:
        """Note the seconds of a finished batch; take a turn if one is due."""
        self._busy += seconds
        self._waiting += 1
        self._between(due=self._busy >= max(TURN_S, self._lasted))

    def end(self) -> list[float | None]:
        """Take the last turn; returns the reading of each batch, None without a reference."""
        self._between(due=self._waiting > 0)
        return self._local

    def _between(self, due: bool) -> None:
        began = time.perf_counter()
        # All ranks must be idle during the turn.
        self._barrier()
        if due:
            self._take()
        self._barrier()
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
    """Why memory does not suffice for a reference process; None if it does.

    Loading peak and CUDA context must fit into free memory with a tenth of all memory to spare.
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
