"""Describes the machine and libraries of a result; reads GPUs through NVML, so that no CUDA context is created."""

from __future__ import annotations

import contextlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from scripts.inference import processor

# The libraries whose version can change a timing, a memory figure or a token.
LIBRARIES = (
    "torch",
    "transformers",
    "accelerate",
    "bitsandbytes",
    "tokenizers",
    "safetensors",
    "numpy",
    "triton",
    "hqq",
)


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
    """The NVIDIA GPUs of this machine in PCI order; empty where there are none.

    Each has uuid, name, memory_bytes, driver, power_limit_w, which bounds its clocks (None if unknown), mig: whether it
    is divided into MIG devices, and its compute capability (None if unknown).
    """
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
                    "power_limit_w": _power_limit(pynvml, handle),
                    "mig": _is_divided(pynvml, handle),
                    "capability": _capability(pynvml, handle),
                }
            )
        return devices
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _capability(nvml: Any, handle: Any) -> tuple[int, int] | None:
    with contextlib.suppress(nvml.NVMLError, AttributeError):
        return tuple(nvml.nvmlDeviceGetCudaComputeCapability(handle))
    return None


def _power_limit(nvml: Any, handle: Any) -> float | None:
    """The enforced power limit in watts, or else the configured one."""
    for function in ("nvmlDeviceGetEnforcedPowerLimit", "nvmlDeviceGetPowerManagementLimit"):
        with contextlib.suppress(nvml.NVMLError, AttributeError):
            return getattr(nvml, function)(handle) / 1e3
    return None


def _is_divided(nvml: Any, handle: Any) -> bool:
    with contextlib.suppress(nvml.NVMLError, AttributeError):
        return bool(nvml.nvmlDeviceGetMigMode(handle)[0])
    return False  # as on GPUs that can't be divided


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def describe() -> dict[str, Any]:
    """Processor, cores, memory, platform and GPUs (without their serial identity)."""
    import psutil

    return {
        "cpu_model": processor.name(),
        "cpu_count": usable_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "platform": platform.platform(),
        "gpus": [{key: gpu[key] for key in ("name", "memory_bytes", "driver", "power_limit_w")} for gpu in gpus()],
    }


def identity() -> dict[str, Any]:
    """What must be equal for timings to be comparable.

    Processor, system, GPUs with driver and power limit, and the versions of libraries.
    """
    return {
        "cpu_model": processor.name(),
        "cpu_count": usable_cores(),
        "platform": platform.platform(),
        "gpus": [[gpu["name"], gpu["driver"], gpu["power_limit_w"]] for gpu in gpus()],
        "versions": versions(),
    }
