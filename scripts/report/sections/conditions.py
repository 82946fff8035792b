"""What ran on what, and when: machine, versions, models and data set as keys and values."""

from typing import Any

from scripts.report import machines, numbers, text
from scripts.report.section import Section
from scripts.report.text import Safe


def conditions(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return what ran on what: machine, versions, models, dataset, prompt, time."""
    machine = comparison["machine"] or {}
    pairs = [("processor", f"{machine.get('cpu_model')}, {machines.cores(machine)}")] if machine else []
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
    start, end = comparison["started_at"], comparison["finished_at"]
    models: dict[str, None] = {}
    for technique in comparison["techniques"]:
        models |= {machines.model_line(model): None for model in (technique["models"] or {}).values() if model}
    return {
        "machine": pairs,
        "versions": text.flattened(comparison["versions"] or {}),
        "models": list(models),
        "data": data_counts(comparison["dataset"]),
        "dataset": _manifest(comparison),
        "prompt": comparison["prompt"] or "",
        "when": machines.time_span(start, end) if start else "",
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


def short(comparison: dict[str, Any]) -> list[dict[str, str]]:
    """Return machine, models, data and time, a line each."""
    found = conditions(comparison)
    facts = [
        ("Machine", machines.machine_line(comparison["machine"])),
        ("Models", "; ".join(found["models"]) or "not recorded"),
        ("Data", ", ".join(f"{key} {value}" for key, value in found["data"])),
        ("Measured", found["when"] or "nothing was"),
    ]
    return [{"title": Safe(title), "value": value} for title, value in facts]


SECTION = Section("conditions", "What ran on what", 150, conditions, within="trust", short=short)
