"""Readings of a worker around its timed samples: calibration and energy, and the time breakdown of one batch."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from scripts.inference.calibration import calibrate
from scripts.inference.power import EnergyMeter

if TYPE_CHECKING:
    from scripts.inference.preparation import Prepared
    from scripts.runtime.models import Loaded, Process


class Readings:
    """Calibration before and after, and joules per mode; on rank 0 alone, for all devices of the group.

    Args:
        process: this process.
        gpu_uuids: the leased GPUs.
    """

    def __init__(self, process: Process, gpu_uuids: list[str]) -> None:
        self._process = process
        self._energy: dict[str, float | None] = {"natural_j": None, "fixed_j": None}
        self._excluded_j: float | None = 0.0  # joules, or None where one of them could not be read
        self._is_first = process.rank == 0
        self._before: dict[str, Any] | None = None
        self._before = self._calibrated()
        self._meter = EnergyMeter(gpu_uuids) if self._is_first else None

    def _calibrated(self) -> dict[str, Any] | None:
        """Calibrate rank 0's device while the other ranks wait."""
        self._barrier()
        found = calibrate(self._process.device, self._process.dtype, self._before) if self._is_first else None
        self._barrier()
        return found

    def _barrier(self) -> None:
        if self._process.world_size > 1:
            import torch

            torch.distributed.barrier()

    @contextlib.contextmanager
    def measured(self, mode: str) -> Iterator[None]:
        """Count the energy that a mode's samples draw."""
        self._excluded_j = 0.0
        began = self._read()
        yield
        ended = self._read()
        if None not in (began, ended, self._excluded_j):
            self._energy[f"{mode}_j"] = ended - began - self._excluded_j

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Exclude the energy of the block from the mode's energy."""
        began = self._read()
        yield
        ended = self._read()
        known = None not in (began, ended, self._excluded_j)
        self._excluded_j = self._excluded_j + ended - began if known else None

    def _read(self) -> float | None:
        return self._meter.read() if self._meter else None

    def results(self) -> dict[str, Any]:
        """``calibration`` and ``energy`` of run.json; closes the meter."""
        after = self._calibrated()
        if self._meter is None:
            return {"calibration": None, "energy": None}
        energy = {"method": self._meter.method, "reason": self._meter.reason, "domains": self._meter.domains}
        self._meter.close()
        return {
            "calibration": {"before": self._before, "after": after},
            "energy": energy | self._energy,
        }


BREAKDOWN_TOKENS = 8  # per headline; the profiler's overhead grows with the number of operators
MAX_PROFILER_OVERHEAD = 0.25  # the most by which the profiler may lengthen the batch, as a share of its time


def time_breakdown(prepared: Prepared, prompts: list[str]) -> dict[str, Any]:
    """Profile one batch outside the timed samples, over the first tokens of each headline.

    Returns:
        ``sample_s``: seconds of the batch, the lesser of two; ``profiled_s``: the same under the profiler, and
        ``operators_s``: seconds of that inside operators (on a GPU: in which a kernel ran); ``host_bound_share``: the
        rest of the batch's time (Python, dispatch, launches), None with a ``host_bound_reason`` where the profiler
        distorts it too much; ``target_forward_s`` and
        ``draft_forward_s``: a typical call after the prompt's; ``new_tokens``: tokens per headline.
    """
    from scripts.inference.profiling import operator_share

    loaded = prepared.loaded

    def once() -> float:
        began = time.perf_counter()
        prepared.generate(prompts, counted=False)
        return time.perf_counter() - began

    with prepared.fixed_length(BREAKDOWN_TOKENS):
        sample = min(once(), once())
        generator = loaded.generator
        operators, profiled = operator_share(once, all_threads=generator is not None and generator.own_thread)
        forwards = generator.forward_times() if generator is not None else _forward_times(loaded, once)
    share, reason = host_bound(sample, profiled, operators)
    return {
        "new_tokens": BREAKDOWN_TOKENS,
        "sample_s": sample,
        "profiled_s": profiled,
        "operators_s": operators,
        "host_bound_share": share,
        "host_bound_reason": reason,
        **forwards,
    }


def host_bound(sample: float, profiled: float, operators: float) -> tuple[float | None, str | None]:
    """Share of a batch's time outside operators, or why it can't be determined.

    Args:
        sample: seconds of the batch without the profiler.
        profiled: seconds of it under the profiler.
        operators: seconds of the profiled one inside operators.
    """
    if operators > sample:
        times = f"{operators / sample:.2f} times the batch's own time"
        return None, f"can't be determined: under the profiler operators took {times}"
    # How much of what the profiler adds lies inside operators is not known.
    if profiled - sample > MAX_PROFILER_OVERHEAD * sample:
        return None, f"can't be determined: the profiler made the batch take {profiled / sample:.2f} times as long"
    return 1 - operators / sample, None


def _forward_times(loaded: Loaded, once: Callable[[], float]) -> dict[str, float | None]:
    """A typical call of each model while one batch is generated again."""
    from scripts.runtime.timing import timed_calls

    draft = None
    with timed_calls(loaded.model, loaded.process.device) as target:
        once()
    if loaded.draft is not None:
        with timed_calls(loaded.draft, loaded.process.device) as calls:
            once()
        draft = calls.typical()
    return {"target_forward_s": target.typical(), "draft_forward_s": draft}
