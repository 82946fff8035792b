"""The processor's name, or its identifying numbers where the kernel has no name."""

from __future__ import annotations

import contextlib
import platform
import subprocess
import sys
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# Board names: device trees on small machines, DMI on servers.
BOARDS = (
    Path("/sys/firmware/devicetree/base/model"),
    Path("/sys/class/dmi/id/sys_vendor"),
    Path("/sys/class/dmi/id/product_name"),
)

# Of Arm's own cores, by part number ("MIDR_EL1" of each core's technical reference manual).
ARM_PARTS = {
    "0xd03": "Cortex-A53", "0xd04": "Cortex-A35", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57", "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73", "0xd0a": "Cortex-A75", "0xd0b": "Cortex-A76", "0xd0c": "Neoverse N1", "0xd0d": "Cortex-A77",
    "0xd40": "Neoverse V1", "0xd41": "Cortex-A78", "0xd44": "Cortex-X1", "0xd49": "Neoverse N2",
    "0xd4f": "Neoverse V2", "0xd84": "Neoverse V3", "0xd8e": "Neoverse N3",
}  # fmt: skip
ARM_LIMITED = "0x41"


def name() -> str:
    """The processor's name or identifying numbers; the architecture if nothing else is known."""
    with contextlib.suppress(OSError):
        found = of_cpuinfo(CPUINFO.read_text())
        if found is not None:
            # A core that several makers build says little without the machine that it is in.
            return found if "implementer" not in found else ", ".join([found, *_board()])
    return _of_macos() or platform.processor() or platform.machine()


def of_cpuinfo(text: str) -> str | None:
    """The name in the text of Linux's ``/proc/cpuinfo``; None where it holds none.

    x86 has a ``model name``. Arm has numbers in its place, which differ between the cores of one chip where there are
    fast and slow ones; POWER has ``cpu``, RISC-V a microarchitecture or numbers.
    """
    cores = [_entries(block) for block in text.split("\n\n")]
    arm = [_arm(core) for core in cores if "CPU implementer" in core]
    if arm:
        return " + ".join(dict.fromkeys(arm))
    for key in ("model name", "uarch"):
        for core in cores:
            if core.get(key):
                return core[key]
    for core in cores:
        if "marchid" in core:
            return "RISC-V " + " ".join(f"{key} {core.get(key)}" for key in ("mvendorid", "marchid", "mimpid"))
        if core.get("cpu"):
            return core["cpu"]
    return None


def _entries(block: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in block.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs if value.strip()}


def _arm(core: dict[str, str]) -> str:
    """One core's numbers, after its name where that is known."""
    implementer, part = core["CPU implementer"], core.get("CPU part")
    known = ARM_PARTS.get(part or "") if implementer == ARM_LIMITED else None
    version = f"variant {core.get('CPU variant')} revision {core.get('CPU revision')}"
    return f"{known or 'ARM'} (implementer {implementer} part {part} {version})"


def _board() -> list[str]:
    found = []
    for path in BOARDS:
        with contextlib.suppress(OSError):
            found.append(path.read_text(errors="replace").strip("\0 \n"))
    return [text for text in dict.fromkeys(found) if text]


def _of_macos() -> str | None:
    """The chip's name on macOS, where Python only reports ``arm``."""
    if sys.platform != "darwin":
        return None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip() or None
    return None
