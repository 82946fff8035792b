"""What ran on what, and when: machine, versions, models and dataset as keys and values."""

from datetime import datetime
from typing import Any

from scripts.report import numbers, text


def model_line(model: dict[str, Any]) -> str:
    """Return a model in one line: name, source, parameters, dtype."""
    count = model.get("parameters")
    parts = [model.get("name"), model.get("source") and f"source {model['source']}"]
    parts += [f"{parameter_count(count)} parameters" if count else None, model.get("dtype")]
    return ", ".join(str(part) for part in parts if part)


def parameter_count(count: int) -> str:
    """Return a number of parameters as people write it, e.g. ``1.24 B``."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def machine_line(machine: dict[str, Any] | None) -> str:
    """Return a machine in one line."""
    if not machine:
        return "not recorded"
    gpus = [gpu.get("name") or "GPU" for gpu in machine.get("gpus") or []]
    if gpus:
        counts = {name: gpus.count(name) for name in gpus}
        return ", ".join(f"{count} \N{MULTIPLICATION SIGN} {name}" for name, count in counts.items())
    return f"{machine.get('cpu_model') or 'CPU'}, {_cores(machine)}, no GPU"


def _cores(machine: dict[str, Any]) -> str:
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


def conditions(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return what ran on what: machine, versions, models, dataset, prompt, time."""
    machine = comparison["machine"] or {}
    pairs = [("processor", f"{machine.get('cpu_model')}, {_cores(machine)}")] if machine else []
    if machine.get("memory_bytes"):
        scale = numbers.column_scale([machine["memory_bytes"]], numbers.BYTES)
        pairs.append(("memory", scale.show_with_unit(machine["memory_bytes"])))
    if machine.get("platform"):
        pairs.append(("platform", machine["platform"]))
    for index, gpu in enumerate(machine.get("gpus") or []):
        size = gpu.get("memory_bytes")
        shown = f", {numbers.column_scale([size], numbers.BYTES).show_with_unit(size)}" if size else ""
        limit = gpu.get("power_limit_w")
        power = f", power limit {limit:g} W" if isinstance(limit, int | float) else ""
        pairs.append((f"GPU {index}", f"{gpu.get('name')}{shown}{power}, driver {gpu.get('driver')}"))
    models: dict[str, None] = {}
    for technique in comparison["techniques"]:
        models |= {model_line(model): None for model in (technique["models"] or {}).values() if model}
    return {
        "machine": pairs,
        "versions": text.flattened(comparison["versions"] or {}),
        "models": list(models),
        "data": data_counts(comparison["dataset"]),
        "dataset": _manifest(comparison),
        "prompt": comparison["prompt"] or "",
        "when": time_span(comparison["started_at"], comparison["finished_at"]) if comparison["started_at"] else "",
    }


def data_counts(dataset: dict[str, Any]) -> list[tuple[str, str]]:
    """Return how many rows were read, turned away and why, and used; what the manifest does not count is left out."""
    manifest = dataset["manifest"] if isinstance(dataset["manifest"], dict) else {}
    counts = manifest.get("counts") if isinstance(manifest.get("counts"), dict) else {}
    pairs = [("source", str(manifest["source"]))] if manifest.get("source") else []
    titles = {"read": "rows read", "rejected": "rejected", "leakage": "rejected as leakage"}
    titles |= {"markup": "HTML taken out of", "train": "training rows", "pool": "evaluation pool"}
    for key, title in titles.items():
        if counts.get(key) is not None and not (key in ("leakage", "markup") and not counts[key]):
            pairs.append((title, text.plain(counts[key]) + (_rejects(manifest, counts) if key == "rejected" else "")))
    return [
        *pairs,
        (
            "evaluated",
            f"{dataset['samples']:,} rows: the first of the pool"
            if "pool" in counts
            else f"{dataset['samples']:,} rows",
        ),
    ]


def _rejects(manifest: dict[str, Any], counts: dict[str, Any]) -> str:
    """Return the reasons for rejected rows, the most frequent first."""
    reasons = counts.get("rejected_by_reason") or manifest.get("rejected") or {}
    if not isinstance(reasons, dict) or not reasons:
        return ""
    known = sorted(reasons.items(), key=lambda pair: -pair[1] if isinstance(pair[1], int) else 0)
    return f" ({', '.join(f'{reason}: {text.plain(count)}' for reason, count in known)})"


def _manifest(comparison: dict[str, Any]) -> list[tuple[str, str]]:
    # Long lists (e.g. of columns or words) would drown the counts.
    pairs = text.flattened(comparison["dataset"]["manifest"])
    return [(key, text.shortened(value, 120)) for key, value in pairs[:60]]
