"""Energy from hardware counters; without a counter there is no figure.

GPUs: NVML's total energy counter of the leased GPUs, in millijoules. Without GPUs: Intel's RAPL package domains (AMD's
have the same name), in microjoules, which count the whole package, other programs included.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scripts.inference.nvml import Session

POWERCAP = Path("/sys/class/powercap")


class EnergyMeter:
    """Joules since its creation.

    RAPL's counter wraps around at ``max_energy_range_uj`` (a quarter of an hour at full power on large processors), so
    it must be read more often than that.

    Attributes:
        method: ``nvml``, ``rapl`` or None where neither can be read.
        reason: why there is no method, a sentence; None where there is.
        domains: what is counted.
    """

    def __init__(self, gpu_uuids: list[str], root: Path = POWERCAP) -> None:
        self.method: str | None = None
        self.reason: str | None = None
        self.domains: list[str] = []
        self._session = Session(gpu_uuids)
        self._packages: list[_Package] = []
        if gpu_uuids:
            self._start_gpus(gpu_uuids)
        else:
            self._start_packages(root)

    def _start_gpus(self, gpu_uuids: list[str]) -> None:
        self._began = self._millijoules()
        if self._began is None:
            why = self._session.reason or "they have no energy counter"
            self.reason = f"The energy of the GPUs could not be read: {why}."
            return
        self.method = "nvml"
        self.domains = [f"GPU {number}" for number in range(len(gpu_uuids))]

    def _start_packages(self, root: Path) -> None:
        # intel-rapl:0 is a package; intel-rapl:0:0 is a part of it.
        folders = [folder for folder in sorted(root.glob("intel-rapl:*")) if folder.name.count(":") == 1]
        try:
            packages = [_Package.open(folder) for folder in folders]
        except PermissionError:
            self.reason = f"The processor's energy counters in {root} can be read by the superuser only."
            return
        except (OSError, ValueError):
            self.reason = f"The processor's energy counters in {root} could not be read."
            return
        self._packages = [package for package in packages if package.name.startswith("package")]
        if not self._packages:
            self.reason = "This machine shows no energy counter (RAPL) for its processor."
            return
        self.method = "rapl"
        self.domains = [package.name for package in self._packages]

    def read(self) -> float | None:
        """Joules since the meter was made, over all domains; None where they can't be read."""
        if self.method == "nvml":
            now = self._millijoules()
            return None if now is None else (now - self._began) / 1e3
        if self.method == "rapl":
            try:
                return sum(package.advance() for package in self._packages) / 1e6
            except (OSError, ValueError):
                return None
        return None

    def _millijoules(self) -> int | None:
        readings = [
            self._session.query("nvmlDeviceGetTotalEnergyConsumption", handle) for _, handle in self._session.handles
        ]
        return None if not readings or None in readings else sum(readings)

    def close(self) -> None:
        """End the session with NVML."""
        self._session.close()


@dataclass
class _Package:
    """One counter in microjoules that wraps around at ``limit``; ``total`` counts since it was opened."""

    counter: Path
    name: str
    limit: int
    last: int
    total: int = 0

    @classmethod
    def open(cls, folder: Path) -> _Package:
        counter = folder / "energy_uj"
        name = (folder / "name").read_text().strip()
        return cls(counter, name, _number(folder / "max_energy_range_uj"), _number(counter))

    def advance(self) -> int:
        now = _number(self.counter)
        step = now - self.last
        self.total += step if step >= 0 else step + self.limit
        self.last = now
        return self.total


def _number(path: Path) -> int:
    return int(path.read_text())
