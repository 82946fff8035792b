"""A machine, a model and a time in a line each."""

from datetime import datetime
from typing import Any

from scripts.report import numbers


def model_line(model: dict[str, Any]) -> str:
    """Return a model in one line: name, source, parameters, dtype, and the form of a quantised checkpoint."""
    count = model.get("parameters")
    parts = [model.get("name"), model.get("source") and f"source {model['source']}"]
    parts += [f"{parameter_count(count)} parameters" if count else None, model.get("dtype"), stored_form(model)]
    return ", ".join(str(part) for part in parts if part)


def stored_form(model: dict[str, Any]) -> str | None:
    """Return how a quantised checkpoint stores its weights, in words; None of a dense one."""
    form = (model.get("stored") or {}).get("form")
    return f"from a checkpoint in {form}" if form else None


def parameter_count(count: int) -> str:
    """Return a number of parameters as people write it, e.g. ``1.24 B``."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def machine_line(machine: dict[str, Any] | None, on_gpus: bool | None = None) -> str:
    """Return a machine in one line; its GPUs only if they were used, where that is known."""
    if not machine:
        return "not recorded"
    gpus = [gpu.get("name") or "GPU" for gpu in machine.get("gpus") or []]
    if gpus and on_gpus is False:
        return f"{machine.get('cpu_model') or 'CPU'}, {cores(machine)}, its GPUs not used"
    if gpus:
        counts = {name: gpus.count(name) for name in gpus}
        return ", ".join(f"{count} \N{MULTIPLICATION SIGN} {name}" for name, count in counts.items())
    return f"{machine.get('cpu_model') or 'CPU'}, {cores(machine)}, no GPU"


def cores(machine: dict[str, Any]) -> str:
    """Return how many cores a machine has, in words."""
    count = machine.get("cpu_count") or "?"
    return f"{count} core{'s' * (count != 1)}"


def time_span(start: str, end: str | None) -> str:
    """Return when something was measured, to the minute, in UTC; a time that can't be read stays as it is."""
    try:
        first, last = (datetime.fromisoformat(moment) for moment in (start, end or start))
    except ValueError:
        return start
    shown = f"{first:%Y-%m-%d %H:%M}"
    if first.date() == last.date():
        return f"{shown}{numbers.DASH}{last:%H:%M} UTC"
    return f"{shown} to {last:%Y-%m-%d %H:%M} UTC"
