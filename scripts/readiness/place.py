"""The machine as far as a study asks for it; found out without torch."""

from __future__ import annotations

import importlib.util
import re
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from scripts.foundation.plugins import ROOT
from scripts.inference import leases, machine, processor
from scripts.runtime.place import Place


@dataclass(frozen=True)
class Machine:
    """What there is.

    Attributes:
        place: the kind of device that techniques run on.
        devices: unique ids of the GPUs that they may use; empty on the CPU.
        gpus: names of these GPUs.
        device_bytes: memory of the smallest of them, or of the machine.
        free_bytes: memory of the machine that is free now.
        disk_bytes: free on the disk of ``results/``.
        cores: that this process may use.
    """

    place: Place
    devices: list[str]
    gpus: list[str]
    device_bytes: int
    free_bytes: int
    disk_bytes: int
    cores: int

    def words(self) -> str:
        """The machine in a line."""
        memory = psutil.virtual_memory()
        gpus = ", ".join(self.gpus) if self.gpus else "no NVIDIA GPU to use"
        return (
            f"{self.cores} core{'s' if self.cores > 1 else ''} ({processor.name()}), {gb(memory.total)} of memory of "
            f"which {gb(self.free_bytes)} are free, {gpus}, {gb(self.disk_bytes)} free for results/"
        )


def found(device: str) -> Machine:
    """The machine, for a study's ``measurement.device``.

    Raises:
        StudyError: ``cuda``, but no GPU is visible; or one is divided into MIG devices.
    """
    devices = leases.chosen(device)
    gpus = [gpu for gpu in machine.gpus() if gpu["uuid"] in devices]
    capabilities = [gpu["capability"] for gpu in gpus if gpu.get("capability")]
    memory = psutil.virtual_memory()
    results = Path("results") if Path("results").exists() else Path()
    return Machine(
        place=Place("cuda" if devices else "cpu", min(capabilities, default=None)),
        devices=devices,
        gpus=[gpu["name"] for gpu in gpus],
        device_bytes=min((gpu["memory_bytes"] for gpu in gpus), default=memory.total),
        free_bytes=memory.available,
        disk_bytes=shutil.disk_usage(results).free,
        cores=machine.usable_cores(),
    )


def built_for_cuda() -> bool:
    """Whether the installed PyTorch can compute on GPUs, by the file in which it says for what it was built."""
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        return False
    said = Path(next(iter(spec.submodule_search_locations))) / "version.py"
    return bool(re.search(r"^cuda\b.*=\s*['\"]", said.read_text(encoding="utf-8"), re.MULTILINE))


def missing_libraries() -> list[str]:
    """Pinned libraries that are not installed, as ``name==version``; those for other platforms are left out."""
    pins = (ROOT / "envs" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [pin for pin in (line.strip() for line in pins) if re.match(r"\w", pin) and not _installed(pin)]


def _installed(pin: str) -> bool:
    if ";" in pin:
        return True
    try:
        version(pin.split("==")[0])
    except PackageNotFoundError:
        return False
    return True


def gb(size: float) -> str:
    """Bytes in GB (10^9), with a digit after the point below 10."""
    return f"{size / 1e9:.1f} GB" if size < 9.95e9 else f"{size / 1e9:.0f} GB"
