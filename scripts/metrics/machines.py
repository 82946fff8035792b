"""The machine of a run, and differences between two runs': timings of different machines are never mixed."""

from typing import Any


def signature(info: dict[str, Any]) -> dict[str, Any]:
    """Return what must be equal between runs that are compared.

    How many GPUs a run saw is left out (techniques differ in that), and so is the memory of the host, which a kernel
    reports slightly differently from boot to boot.
    """
    machine = info.get("machine") or {}
    gpus = {_gpu(gpu) for gpu in machine.get("gpus") or []}
    return {
        "processor": (machine.get("cpu_model"), machine.get("cpu_count")),
        "platform": machine.get("platform"),
        "GPU": sorted(gpus, key=str),
        "library versions": info.get("versions"),
    }


def _gpu(gpu: dict[str, Any]) -> tuple[Any, ...]:
    """Name and driver, and where it is known the power limit, which bounds a GPU's clocks."""
    limit = gpu.get("power_limit_w")
    return gpu.get("name"), gpu.get("driver"), *(() if limit is None else (f"{limit:g} W",))


def difference(first: dict[str, Any], second: dict[str, Any]) -> str | None:
    """Say in words what differs between the machines or library versions of two runs, or None."""
    ours, theirs = signature(first), signature(second)
    for key, value in ours.items():
        if value != theirs[key]:
            return f"{key} ({_detail(value, theirs[key])})"
    return None


def _detail(ours: Any, theirs: Any) -> str:
    """Name the two values, of dictionaries only the entries that differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        names = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
        return ", ".join(f"{name} {ours.get(name)} and {theirs.get(name)}" for name in names)
    return f"{_words(ours)} and {_words(theirs)}"


def _words(value: Any) -> str:
    if not value:
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(_words(part) for part in value)
    return str(value)
