"""A server that is to be started, and one that runs."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.foundation.wording import one_line
from scripts.serving import answers, endings, guard, memory, metrics
from scripts.serving.api import Api
from scripts.serving.errors import ServerError

READY_S = 600.0
LINES = 20


@dataclass(frozen=True)
class ServerSpec:
    """What to start.

    Attributes:
        preset: content of a preset, checked (:mod:`scripts.serving.presets`).
        arguments: words added to its command.
        ready_limit_s: seconds until it must be ready; None takes the preset's.
        model_name: what the server calls the model, where that is not ``Values.model``.
    """

    preset: dict[str, Any]
    arguments: tuple[str, ...] = ()
    ready_limit_s: float | None = None
    model_name: str | None = None

    @property
    def label(self) -> str:
        """The server's name in sentences."""
        return one_line(str(self.preset["label"]))

    @property
    def limit_s(self) -> float:
        """Seconds until it must be ready."""
        return self.ready_limit_s or self.preset["ready"].get("limit_s") or READY_S


@dataclass(frozen=True)
class Values:
    """What fills the placeholders of a preset.

    Attributes:
        model: path of what the server loads, or its name.
        dtype: of the weights, as torch calls it.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads.
        gpus: GPUs that it may use; they are those of ``CUDA_VISIBLE_DEVICES``.
        max_length: tokens of the longest prompt and its text together.
        concurrency: the most requests under way at once.
        gpu_share: share of a GPU's memory that it may take.
        decoding: ``greedy``, or ``drawn`` where the study draws its answers.
    """

    model: str
    dtype: str = "float32"
    device: str = "cpu"
    threads: int = 1
    gpus: int = 1
    max_length: int = 2048
    concurrency: int = 1
    gpu_share: float = 0.9
    decoding: str = "greedy"

    def by_name(self) -> dict[str, Any]:
        """The values by their placeholder's name."""
        return vars(self) | {"total_length": self.max_length * self.concurrency}


@dataclass
class Running:
    """A server that is ready to be asked.

    Attributes:
        api: how it is asked.
        version: as it says itself, or as its package says; None where neither does.
        command: its words.
        facts: ``port``, ``start_s`` (seconds until it was ready), ``served_model``.
        log: what it wrote; None where it was not started here.
        pid: its first process; None where it was not started here.
    """

    spec: ServerSpec
    values: dict[str, Any]
    api: Api
    version: str | None = None
    command: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    log: Path | None = None
    process: subprocess.Popen | None = None
    mark: str | None = None
    started_here: bool = True

    @property
    def pid(self) -> int | None:
        """Its first process."""
        return None if self.process is None else next(iter(self.processes()), None)

    def processes(self) -> list[int]:
        """All processes that came of it."""
        return guard.marked(self.mark) if self.mark else []

    def alive(self) -> bool:
        """Whether it runs; of one that was not started here, whether it answers."""
        if self.process is not None:
            return self.process.poll() is None
        return answers.status(self.url(self.spec.preset["ready"]["path"]), headers=self.api.headers)[0] == 200

    def last_lines(self, count: int = LINES) -> list[str]:
        """The last lines that it wrote."""
        return endings.tail(self.log)[-count:]

    def tree_memory(self) -> tuple[int, str] | None:
        """Bytes of all its processes on the machine, and how they were read."""
        return memory.of_processes(self.processes())

    def url(self, path: str) -> str:
        """The address of a route."""
        return self.api.base_url.rstrip("/") + path

    def metrics(self) -> list[metrics.Sample] | None:
        """Its counters now; None where it has none.

        Raises:
            ServerError: it does not answer.
        """
        route = (self.spec.preset.get("metrics") or {}).get("path")
        return metrics.parse(answers.text(self.url(route), self.api.headers)) if route else None

    def ended(self) -> ServerError:
        """The error that says how it ended."""
        status = None if self.process is None else self.process.poll()
        return endings.ended(self.spec.label, self.spec.preset, status, self.log, "while it was asked")
