"""Two GPUs against one, in processes of their own."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from scripts.foundation import files
from tests.performance.engine_rows.models import Place
from tests.performance.engine_rows.one import milliseconds
from tests.performance.engine_rows.paired import estimate
from tests.performance.engine_rows.table import Row, last_lines, measured, missing

ROOT = Path(__file__).resolve().parents[3]
LONGEST_S = 200  # of a group; one that waits for a peer that has ended never ends


def rows(place: Place) -> Iterator[Row]:
    """Latency under tensor parallelism, then throughput of a pipeline."""
    for kind in ("tensor", "pipeline"):
        try:
            found = run_group(kind, "quick" if place.quick else "whole", place.rounds)
        except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
            yield missing(kind, last_lines(error))
            continue
        yield _tensor(found) if kind == "tensor" else _pipeline(found)


def why_not(place: Place) -> str | None:
    """Why there is nothing to measure here, or None."""
    count = torch.cuda.device_count()
    return None if count >= 2 else f"this machine has {count} GPUs, and two are needed"


def run_group(kind: str, size: str, rounds: int) -> dict[str, Any]:
    """Start both ranks, wait for them and return what the first one measured.

    Raises:
        RuntimeError: a rank failed; the message is the end of its output.
    """
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "log.txt"
        with log.open("w") as output:
            workers = [
                subprocess.Popen(
                    [sys.executable, "-m", "tests.performance.engine_rows.rank", kind, size, str(rounds), str(rank),
                     scratch],
                    cwd=ROOT, stdout=output, stderr=subprocess.STDOUT,
                )
                for rank in range(2)
            ]  # fmt: skip
            try:
                statuses = _wait(workers)
            finally:
                for worker in workers:
                    worker.kill()
                    worker.wait()
        if any(statuses):
            raise RuntimeError(" / ".join(log.read_text().strip().splitlines()[-4:]))
        return files.read_json(Path(scratch) / "figures.json")


def _wait(workers: list[subprocess.Popen]) -> list[int | None]:
    """Their statuses, None of those that still run once another has failed: they would wait for it."""
    ends = time.monotonic() + LONGEST_S
    while time.monotonic() < ends:
        statuses = [worker.poll() for worker in workers]
        if any(statuses) or None not in statuses:
            return statuses
        time.sleep(0.1)
    raise subprocess.TimeoutExpired("the ranks", LONGEST_S)


def _tensor(found: dict[str, Any]) -> Row:
    figures, facts = found["figures"], found["facts"]
    value = estimate(figures, lambda m: m["alone.whole"] / m["both.whole"])
    step = estimate(figures, lambda m: m["alone.step"] / m["both.step"])
    note = (
        f"step {step.value:.2f}x; {milliseconds(figures, 'alone.whole', 'both.whole', 'alone.step', 'both.step')}; "
        f"without sums {1e3 * facts['decode_step_without_collectives_s']:.3f} ms; sums by {facts['sums_by']}"
    )
    return measured("tensor", value, note, found, lambda: [f"{name}: {fact}" for name, fact in facts.items()])


def _pipeline(found: dict[str, Any]) -> Row:
    figures, facts, requests = found["figures"], found["facts"], found["requests"]
    value = estimate(figures, lambda m: m["alone"] / m["both"])
    rates = ", ".join(
        f"{name} {requests / statistics.median(figures[name]):,.0f}/s at batch {found['best'][name]}"
        for name in ("alone", "both")
    )
    note = (
        f"{rates}; {facts['micro_batches_in_flight']} micro-batches in flight, {facts['stages_at_work']:.2f} stages "
        "at work"
    )
    tried = [f"{name}: {min(times):.3f} s" for name, times in found["trials"].items()]
    return measured("pipeline", value, note, found, lambda: [*tried, *(f"{name}: {facts[name]}" for name in facts)])
