"""The machine's state around a run: clocks, temperatures, throttling, and other programs' use of CPU and GPUs."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.inference import neighbours
from scripts.inference.nvml import Session

STAT = Path("/proc/stat")
INTERVAL_S = 0.5

# Bits of NVML's clock event reasons (nvml.h); bit 0, an idle GPU, is no reason to doubt a timing.
REASONS = {
    0x2: "application_clocks",
    0x4: "software_power_cap",
    0x8: "hardware_slowdown",
    0x10: "sync_boost",
    0x20: "software_thermal_slowdown",
    0x40: "hardware_thermal_slowdown",
    0x80: "hardware_power_brake",
    0x100: "display_clocks",
}


def state(gpu_uuids: list[str] | None = None, own_pids: list[int] | None = None) -> dict[str, Any]:
    """The machine's current state.

    Args:
        gpu_uuids: the GPUs in use; none on a CPU.
        own_pids: processes of this run, which are not reported as foreign.

    Returns:
        ``gpus`` (a list in the order of the ids: clocks in MHz, temperature in °C, power in W, throttle reasons, other
        processes' ids) and ``cpu`` (load average over 1, 5 and 15 minutes, mean frequency in MHz); None for what the
        machine does not report.
    """
    with Session(gpu_uuids or []) as session:
        gpus = [_gpu(session, handle, set(own_pids or [])) for _, handle in session.handles]
    return {"gpus": gpus, "cpu": {"load_average": _load_average(), "frequency_mhz": _frequency()}}


def _gpu(session: Session, handle: Any, own: set[int]) -> dict[str, Any]:
    power = session.query("nvmlDeviceGetPowerUsage", handle)
    return {
        "sm_clock_mhz": session.query("nvmlDeviceGetClockInfo", handle, 1),  # NVML_CLOCK_SM
        "memory_clock_mhz": session.query("nvmlDeviceGetClockInfo", handle, 2),  # NVML_CLOCK_MEM
        "temperature_c": session.query("nvmlDeviceGetTemperature", handle, 0),  # NVML_TEMPERATURE_GPU
        "power_w": None if power is None else power / 1e3,
        "throttle_reasons": _reasons(session, handle),
        "other_processes": sorted(_processes(session, handle) - own),
    }


def _reasons(session: Session, handle: Any) -> list[str]:
    """Active throttle reasons; drivers before 535 have the function under its older name."""
    for function in ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"):
        bits = session.query(function, handle)
        if bits is not None:
            return [name for bit, name in REASONS.items() if bits & bit]
    return []


def _processes(session: Session, handle: Any) -> set[int]:
    return {process.pid for process in session.query("nvmlDeviceGetComputeRunningProcesses", handle) or []}


def _load_average() -> list[float] | None:
    with contextlib.suppress(OSError, AttributeError):
        return list(os.getloadavg())
    return None


def _frequency() -> float | None:
    import psutil

    with contextlib.suppress(Exception):  # psutil raises whatever the platform's files make it raise
        return psutil.cpu_freq().current or None
    return None


class Monitor:
    """Other programs' use of CPU and GPUs between ``start`` and ``stop``, seen from the workers' parent process.

    CPU use is the difference of two counter readings; a thread polls GPUs every half second. Start it before the
    workers: processes already on a GPU are foreign.
    """

    def __init__(
        self, own_pids: Callable[[], list[int]] | None = None, gpu_uuids: list[str] | None = None, stat: Path = STAT
    ) -> None:
        self._own_pids = own_pids or list
        self._stat = stat
        self._gpu_uuids = gpu_uuids or []
        self._reasons: set[str] = set()
        self._on_gpus: set[int] = set()
        self._own_seen: set[int] = set()
        self._neighbours = 0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start monitoring."""
        self._neighbours = neighbours.others()
        self._session = Session(self._gpu_uuids)
        self._at_start = {pid for _, handle in self._session.handles for pid in _processes(self._session, handle)}
        if self._session.handles:
            self._thread = threading.Thread(target=self._sample_until_ended, name="conditions", daemon=True)
            self._thread.start()
        self._began = (time.monotonic(), _core_times(self._stat), _own_seconds())

    def stop(self) -> dict[str, Any]:
        """End, and return what was seen.

        Shares of the usable cores' time (None where unreadable), what was on the GPUs, and ``neighbours``: the most
        other runs and trainings of this node at a time.

        Where a container hides its process ids from NVML, those on a GPU at the start count as foreign.
        """
        seconds = time.monotonic() - self._began[0]
        foreign, steal = _shares(self._began[1], _core_times(self._stat), _own_seconds() - self._began[2])
        if self._thread is not None:
            self._ended.set()
            self._thread.join()
        self._session.close()
        others = self._on_gpus - self._own_seen if self._own_seen else self._at_start
        return {
            "foreign_cpu_share": foreign,
            "steal_share": steal,
            "throttle_reasons": sorted(self._reasons),
            "foreign_gpu_processes": sorted(others | self._at_start),
            "neighbours": max(self._neighbours, neighbours.others()),
            "seconds": seconds,
        }

    def _sample_until_ended(self) -> None:
        while True:
            own = _tree([os.getpid(), *self._own_pids()])
            self._neighbours = max(self._neighbours, neighbours.others())
            for _, handle in self._session.handles:
                self._reasons.update(_reasons(self._session, handle))
                pids = _processes(self._session, handle)
                self._on_gpus |= pids
                self._own_seen |= pids & own
            if self._ended.wait(INTERVAL_S):
                return


def _tree(pids: list[int]) -> set[int]:
    """The processes and their descendants."""
    import psutil

    found = set(pids)
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            found |= {child.pid for child in psutil.Process(pid).children(recursive=True)}
    return found


def _own_seconds() -> float:
    """CPU time of this process and its descendants, ended ones included."""
    import psutil

    this = psutil.Process()
    total = 0.0
    for process in (this, *this.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])  # user, system, and both of its ended children
    return total


def _core_times(stat: Path) -> tuple[float, float, float] | None:
    """Busy, stolen and total seconds of the usable cores; None without /proc/stat.

    Fields of /proc/stat (proc(5)): user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice; a guest's
    time is in the user's.
    """
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    busy = stolen = whole = 0
    try:
        lines = stat.read_text().splitlines()
        for line in lines:
            name, *numbers = line.split()
            if not (name.startswith("cpu") and name[3:].isdigit()) or (cores and int(name[3:]) not in cores):
                continue
            user, nice, system, idle, waiting, irq, softirq, steal = (int(number) for number in numbers[:8])
            busy += user + nice + system + irq + softirq
            stolen += steal
            whole += user + nice + system + irq + softirq + idle + waiting + steal
    except (OSError, ValueError):
        return None
    tick = os.sysconf("SC_CLK_TCK")
    return busy / tick, stolen / tick, whole / tick


def _shares(
    before: tuple[float, float, float] | None, after: tuple[float, float, float] | None, own_seconds: float
) -> tuple[float | None, float | None]:
    """Shares of the cores' time used by other programs and stolen by the hypervisor."""
    if before is None or after is None or after[2] <= before[2]:
        return None, None
    busy, stolen, whole = (later - earlier for earlier, later in zip(before, after, strict=True))
    return min(1.0, max(0.0, busy - own_seconds) / whole), min(1.0, max(0.0, stolen) / whole)
