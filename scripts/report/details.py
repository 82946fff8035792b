"""The evidence of each technique, and what ran on what, as keys and values."""

from datetime import datetime
from typing import Any

from scripts.report import numbers, text

EXTRA_FIGURES = {
    "latency_p50_s": ("Latency P50", numbers.TIME),
    "latency_p90_s": ("Latency P90", numbers.TIME),
    "decode_s": ("Decode time", numbers.TIME),
    "inter_token_latency_s": ("Inter-token latency, mean", numbers.TIME),
    "inter_token_latency_p99_s": ("Inter-token latency, P99", numbers.TIME),
    "load_peak_memory_bytes": ("Peak memory while loading", numbers.BYTES),
    "new_tokens": ("New tokens", [(1.0, "tokens")]),
    "headline_words": ("Headline length", [(1.0, "words")]),
    "accepted_per_round": ("Drafted tokens accepted per round", [(1.0, "tokens")]),
}
SHARES = {
    "acceptance_rate": "Acceptance rate of judged draft tokens",
    "drafted_kept": "Accepted share of all drafted tokens",
    "empty_share": "Empty headlines",
    "stop_end_share": "Stopped at end of sequence",
    "stop_line_break_share": "Stopped at a line break",
    "stop_length_share": "Stopped at the length limit",
}
METHODS = {
    "cuda_allocator": "high-water mark of the CUDA allocator, reset after loading",
    "resident_set": "resident set of the processes",
}


def technique_details(technique: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    """Return what is folded away under a technique: difference, evidence, further figures, memory, costs, settings."""
    parent = technique["parent"]
    groups = [
        ("Evidence that it was on", _pairs(technique["evidence"])),
        ("Further figures", _figures(technique["figures"])),
        ("Memory", _memory(technique)),
        ("Runs", _runs(technique["runs"])),
        ("Settings", _pairs(technique["settings"])),
        ("Generation", _pairs(technique["generation"])),
        ("Models", [(role, model_line(model)) for role, model in (technique["models"] or {}).items() if model]),
        ("Processes", _pairs({"processes": technique["processes"], "threads": technique["threads"]})),
    ]
    return {
        "name": technique["name"],
        "label": technique["label"],
        "ok": technique["status"] == "ok",
        "status": technique["status"],
        "reason": technique["reason"] or "",
        "lossless": technique["lossless"],
        "parent": labels.get(parent, parent or ""),
        "difference": difference_text(technique["difference"]),
        "groups": [{"title": title, "pairs": pairs} for title, pairs in groups if pairs],
    }


def difference_text(difference: dict[str, Any]) -> str:
    """Return a technique's difference from its parent in one line."""
    return "; ".join(f"{key} = {value}" for key, value in text.flattened(difference))


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
    return f"{machine.get('cpu_model') or 'CPU'}, {machine.get('cpu_count') or '?'} cores, no GPU"


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
    pairs = [("processor", f"{machine.get('cpu_model')}, {machine.get('cpu_count')} cores")] if machine else []
    if machine.get("memory_bytes"):
        scale = numbers.column_scale([machine["memory_bytes"]], numbers.BYTES)
        pairs.append(("memory", scale.show_with_unit(machine["memory_bytes"])))
    if machine.get("platform"):
        pairs.append(("platform", machine["platform"]))
    for index, gpu in enumerate(machine.get("gpus") or []):
        size = gpu.get("memory_bytes")
        shown = f", {numbers.column_scale([size], numbers.BYTES).show_with_unit(size)}" if size else ""
        pairs.append((f"GPU {index}", f"{gpu.get('name')}{shown}, driver {gpu.get('driver')}"))
    models: dict[str, None] = {}
    for technique in comparison["techniques"]:
        models |= {model_line(model): None for model in (technique["models"] or {}).values() if model}
    return {
        "machine": pairs,
        "versions": _pairs(comparison["versions"]),
        "models": list(models),
        "dataset": [("evaluation set", f"{comparison['dataset']['samples']:,} rows"), *_manifest(comparison)],
        "prompt": comparison["prompt"] or "",
        "when": time_span(comparison["started_at"], comparison["finished_at"]) if comparison["started_at"] else "",
    }


def _manifest(comparison: dict[str, Any]) -> list[tuple[str, str]]:
    # Long lists (e.g. of columns or words) would drown the counts.
    pairs = text.flattened(comparison["dataset"]["manifest"])
    return [(key, text.shortened(value, 120)) for key, value in pairs[:60]]


def _pairs(value: Any) -> list[tuple[str, str]]:
    return text.flattened(value) if value else []


def _figures(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the figures that the tables leave out."""
    pairs = []
    for key, (title, units) in EXTRA_FIGURES.items():
        figure = figures[key]
        if figure["value"] is not None:
            scale = numbers.column_scale([figure["value"]], units)
            pairs.append((title, _with_interval(scale.show_with_unit(figure["value"]), scale, figure)))
    for key, title in SHARES.items():
        figure = figures[key]
        if figure["value"] is not None:
            low, high = (None if figure[end] is None else 100 * figure[end] for end in ("low", "high"))
            interval = numbers.percent_interval(low, high, signed=False)
            pairs.append((title, numbers.share(figure["value"]) + (f" ({interval})" if interval else "")))
    return pairs


def _with_interval(shown: str, scale: numbers.Scale, figure: dict[str, Any]) -> str:
    interval = scale.interval(figure["low"], figure["high"])
    return f"{shown} ({interval})" if interval else shown


def _memory(technique: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the readings of each device."""
    pairs = []
    if technique["memory_method"]:
        pairs.append(("read from", METHODS.get(technique["memory_method"], technique["memory_method"])))
    for device in technique["memory_devices"]:
        parts = []
        for key, name in (("peak_bytes", "peak"), ("load_peak_bytes", "while loading"), ("weight_bytes", "weights")):
            value = device.get(key)
            if value is not None:
                parts.append(f"{name} {numbers.column_scale([value], numbers.BYTES).show_with_unit(value)}")
        pairs.append((str(device.get("device")), ", ".join(parts)))
    return pairs


def _runs(runs: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return what each run cost beside its requests."""
    pairs = []
    for run in runs:
        costs = []
        for key, name in (("load_time_s", "loading"), ("warmup_time_s", "warm-up"), ("compile_time_s", "compiling")):
            if run.get(key):
                costs.append(f"{name} {numbers.column_scale([run[key]], numbers.TIME).show_with_unit(run[key])}")
        when = time_span(run["started_at"], run.get("finished_at")) if run.get("started_at") else ""
        pairs.append((f"run {run['run']}", "; ".join([*costs, when] if when else costs)))
    return [pair for pair in pairs if pair[1]]
