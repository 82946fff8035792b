"""What machine and libraries a result comes from. Reads GPUs through NVML, so that no CUDA context is made."""

from __future__ import annotations

import contextlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# The libraries whose version can change a timing, a memory figure or a token.
LIBRARIES = ("torch", "transformers", "accelerate", "bitsandbytes", "tokenizers", "safetensors", "numpy")


def versions(libraries: tuple[str, ...] = LIBRARIES) -> dict[str, str | None]:
    """Version of each library, None where it is not installed; Python's own too."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for library in libraries:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = None
    return found


def gpus() -> list[dict[str, Any]]:
    """The NVIDIA GPUs of this machine in PCI order: uuid, name, memory_bytes and driver; empty where there are none."""
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        driver = pynvml.nvmlSystemGetDriverVersion()
        devices = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            devices.append(
                {
                    "uuid": pynvml.nvmlDeviceGetUUID(handle),
                    "name": pynvml.nvmlDeviceGetName(handle),
                    "memory_bytes": int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
                    "driver": driver,
                }
            )
        return devices
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def cpu_model() -> str:
    """The processor's name."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def describe() -> dict[str, Any]:
    """Processor, cores, memory, platform and GPUs (without their serial identity)."""
    import psutil

    return {
        "cpu_model": cpu_model(),
        "cpu_count": usable_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "platform": platform.platform(),
        "gpus": [{key: gpu[key] for key in ("name", "memory_bytes", "driver")} for gpu in gpus()],
    }


def identity() -> dict[str, Any]:
    """What must be equal for two timings to be compared: processor, system, GPUs and driver, library versions."""
    return {
        "cpu_model": cpu_model(),
        "cpu_count": usable_cores(),
        "platform": platform.platform(),
        "gpus": [[gpu["name"], gpu["driver"]] for gpu in gpus()],
        "versions": versions(),
    }
