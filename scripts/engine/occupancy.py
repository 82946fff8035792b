"""How full a pipeline was: when each stage worked on which micro-batch, and how many were in flight."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

MIN_SHARE = 0.1  # of the time with any work, from which so many micro-batches count as in flight

Interval = tuple[float, float, int]  # from, to, in seconds; micro-batch


class StageTimer:
    """Times this stage's graphs; on a GPU by events, aligned with the host's clock once."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._intervals: list[tuple[Any, Any, int]] = []
        self._began = 0.0
        self._base: Any = None
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            self._base = torch.cuda.Event(enable_timing=True)
            self._base.record()
            self._began = time.perf_counter()

    def run(self, replay: Callable[[], None], micro_batch: int) -> None:
        """Replay a graph and note when the device ran it."""
        began = self._now()
        replay()
        self._intervals.append((began, self._now(), micro_batch))

    def _now(self) -> Any:
        if self._base is None:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def intervals(self) -> list[Interval]:
        """Seconds on the host's clock, which all stages of a machine share."""
        if self._base is None:
            return self._intervals
        torch.cuda.synchronize(self.device)

        def at(event: Any) -> float:
            return self._began + self._base.elapsed_time(event) / 1e3

        return [(at(began), at(ended), micro_batch) for began, ended, micro_batch in self._intervals]


@dataclass
class Occupancy:
    """The occupancy of the pipeline during one batch.

    Attributes:
        in_flight: micro-batches that were worked on at the same time, for at least a tenth of the time with any work.
        busy: mean number of stages at work.
        waiting: each stage's share of the batch's time without work.
    """

    in_flight: int
    busy: float
    waiting: list[float]


def occupancy(stages: list[list[Interval]]) -> Occupancy:
    """The occupancy by all stages' intervals."""
    changes = sorted(
        (moment, step, micro_batch)
        for noted in stages
        for began, ended, micro_batch in noted
        for moment, step in ((began, 1), (ended, -1))
    )
    span = changes[-1][0] - changes[0][0]
    in_flight: dict[int, int] = {}
    times: dict[int, float] = {}  # by how many micro-batches were in flight
    before = changes[0][0]
    for moment, step, micro_batch in changes:
        count = sum(1 for stages_at_it in in_flight.values() if stages_at_it)
        times[count] = times.get(count, 0.0) + moment - before
        in_flight[micro_batch] = in_flight.get(micro_batch, 0) + step
        before = moment
    busy = [sum(ended - began for began, ended, _ in noted) for noted in stages]
    at_work = span - times.get(0, 0.0)
    enough = [
        count for count in times if sum(spent for more, spent in times.items() if more >= count) >= MIN_SHARE * at_work
    ]
    return Occupancy(max([1, *enough]), sum(busy) / span, [1 - each / span for each in busy])
