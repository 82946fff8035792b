"""Memory of a server: of all its processes on a CPU, of the GPUs that it was given by NVML."""

from __future__ import annotations

import time
from typing import Any

from scripts.inference.nvml import Session
from scripts.serving.running import Running

PROCESS_TREE, GPUS = "process_tree", "nvml"
EVERY_S = 2.0  # seconds between two readings while samples are timed, each between two batches
OF_TREE = "the server's whole processes, libraries included, read between batches"
OF_GPUS = "all that the server holds on its GPUs, read between batches; what it reserves ahead is in it"
NOT_OURS = "not measured: the endpoint was started elsewhere"


class ServerMemory:
    """Readings of a server's memory; create it before the server is started.

    On GPUs: what NVML lists for the server's processes; where it does not list them by their own ids, as in a
    container, what is in use on the board less what was before the server started, as long as nothing else is started
    there.

    Args:
        gpus: unique ids of the GPUs that the server may use; none on a CPU.
    """

    def __init__(self, gpus: list[str]) -> None:
        self._session = Session(gpus)
        self._before = [self._used(handle) for _, handle in self._session.handles]
        self._gpus = gpus
        self._by_process = True
        self._how: str | None = None
        self._peaks: list[int | None] = []
        self._ready: list[int | None] = []
        self._last = 0.0
        self._alone = True

    def read(self, running: Running) -> None:
        """Read now, unless it was read just before or can't be."""
        if not running.started_here or (time.monotonic() - self._last < EVERY_S and self._peaks):
            return
        found = self._on_gpus(running) if self._gpus else self._on_machine(running)
        self._last = time.monotonic()
        if not self._ready:
            self._ready = found
        known = zip(self._peaks or found, found, strict=True)
        self._peaks = [max((each for each in pair if each is not None), default=None) for pair in known]

    def others_follow(self) -> None:
        """From now on other processes of the run may be on the GPUs, so that the board's memory says nothing."""
        self._alone = False

    def facts(self, running: Running) -> dict[str, Any]:
        """``memory`` of a rank's report: the method, a note, and the readings of each device."""
        if not running.started_here:
            return {
                "method": None,
                "peak_is_exact": False,
                "note": NOT_OURS,
                "devices": [_device("endpoint", None, None)],
            }
        on_gpus = bool(self._gpus)
        names = [f"cuda:{number}" for number in range(len(self._gpus))] or ["server"]
        peaks, ready = (each or [None] * len(names) for each in (self._peaks, self._ready))
        rows = [_device(name, *each) for name, *each in zip(names, peaks, ready, strict=True)]
        for row in rows:
            row |= {"process_method": self._how, "process_reason": self._session.reason if on_gpus else None}
        method = GPUS if on_gpus else PROCESS_TREE
        return {"method": method, "peak_is_exact": False, "note": OF_GPUS if on_gpus else OF_TREE, "devices": rows}

    def close(self) -> None:
        """End the session with NVML."""
        self._session.close()

    def _on_machine(self, running: Running) -> list[int | None]:
        found = running.tree_memory()
        if found is None:
            return [None]
        self._how = found[1]
        return [found[0]]

    def _on_gpus(self, running: Running) -> list[int | None]:
        own, found = set(running.processes()), []
        for number, (_, handle) in enumerate(self._session.handles):
            listed = self._session.query("nvmlDeviceGetComputeRunningProcesses", handle) or []
            sizes = [getattr(each, "usedGpuMemory", None) for each in listed if each.pid in own]
            used, before = self._used(handle), self._before[number]
            if sizes and None not in sizes:
                self._how = "nvml_process"
                found.append(sum(sizes))
            elif self._alone and used is not None and before is not None:
                self._how = "nvml_board"
                found.append(max(0, used - before))
            else:
                found.append(None)
        return found or [None] * len(self._gpus)

    def _used(self, handle: Any) -> int | None:
        info = self._session.query("nvmlDeviceGetMemoryInfo", handle)
        return None if info is None else int(info.used)


def _device(name: str, peak: int | None, ready: int | None) -> dict[str, Any]:
    """One device's readings, under the names that every run has."""
    return {
        "device": name,
        "rank": 0,
        "before_load_bytes": None if peak is None else 0,
        "load_peak_bytes": ready,
        "peak_bytes": peak,
        "process_peak_bytes": peak,
        "weight_bytes": None,
        "kv_cache_bytes": None,
        "kv_cache_positions": None,
    }
