"""The section of each technique: what it is, what was measured of it in words, and what is folded away under that."""

from typing import Any

from scripts.metrics import registry
from scripts.report import advice, column, facets, machines, measured, numbers, reasons, rows, shapes, text
from scripts.report.section import Section
from scripts.report.sections import changes, lossless, memory, why

DEVICE_READINGS = (
    ("peak_bytes", "added at the peak"),
    ("load_peak_bytes", "added while loading"),
    ("weight_bytes", "weights"),
    ("allocated_peak_bytes", "live tensors"),
    ("reserved_peak_bytes", "reserved"),
    ("process_peak_bytes", "whole process"),
)
METHODS = {
    "cuda_allocator": "what the CUDA allocator has reserved, graphs' pools included, at most since warm-up",
    "resident_set": "resident pages of the processes, less those that stood before loading",
}


def techniques(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return ``techniques``, each told by itself, those that did not run among them, and the ``parts`` of memory.

    Args:
        comparison: content of comparison.json, its texts inert.
    """
    entries = comparison["techniques"]
    labels = {technique["name"]: technique["label"] for technique in entries}
    known = {technique["name"]: technique for technique in entries}
    anatomy = memory.memory(comparison)
    bars = {row["name"]: row for row in anatomy["rows"]}
    audits = {row["name"]: row for row in lossless.audit(comparison)}
    whole = shapes.span(rows.ran(entries))
    even = {row["technique"]: row["break_even_acceptance"]["value"] for row in comparison["break_even"]}
    found = []
    for technique in entries:
        details = technique_details(technique, labels)
        details["what"] = facets.what(technique, comparison)
        details["audit"] = audits.get(technique["name"])
        if details["ok"]:
            details |= {
                "measured": _measured(technique, comparison, labels),
                "why": reasons.why_sentence(technique, comparison),
                "utilisation": why.utilisation(technique),
                "bar": bars[technique["name"]]["bar"],
                "shapes": shapes.figures(technique, known, whole, even.get(technique["name"])),
            }
        else:
            details["needed"] = advice.needed(technique)
        found.append(details)
    return {"techniques": found, "parts": anatomy["parts"]}


def _measured(
    technique: dict[str, Any], comparison: dict[str, Any], labels: dict[str, str]
) -> list[dict[str, str | list[str]]]:
    """Return the four headings under which each technique is told."""
    return [
        {"title": "Performance", "sentences": measured.performance(technique, labels)},
        {"title": "Memory", "sentences": measured.memory(technique, labels)},
        {"title": "Quality", "sentences": measured.quality(technique, labels)},
        {"title": "Summary", "sentences": advice.summary(technique, comparison, labels)},
    ]


def technique_details(technique: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    """Return what is folded away under a technique: difference, evidence, further figures, memory, costs, settings."""
    parent = technique["parent"]
    groups = [
        ("Evidence that it was on", _pairs(technique["evidence"])),
        ("Further figures", _figures(technique["figures"])),
        ("Further changes against the parent", changes.further(technique["changes"]["parent"]["figures"])),
        ("Spread within a run", _spreads(technique["figures"])),
        ("Observed batch", _times(technique["time"])),
        ("Memory", _memory(technique)),
        ("Runs", _runs(technique["runs"])),
        ("Settings", _pairs(technique["settings"])),
        ("Generation", _pairs(technique["generation"])),
        (
            "Models",
            [(role, machines.model_line(model)) for role, model in (technique["models"] or {}).items() if model],
        ),
        (
            "Processes",
            _pairs({"processes": technique["processes"], "threads": technique["threads"]} | _chosen(technique)),
        ),
    ]
    return {
        "name": technique["name"],
        "label": technique["label"],
        "ok": technique["status"] == "ok",
        "status": technique["status"],
        "reason": technique["reason"] or "",
        "lossless": technique["lossless"],
        "parent": labels.get(parent, parent or ""),
        "difference": rows.difference_text(technique["difference"]),
        "groups": [{"title": title, "pairs": pairs} for title, pairs in groups if pairs],
    }


def _chosen(technique: dict[str, Any]) -> dict[str, str]:
    """How the number of threads was chosen, where a measurement did that."""
    chosen = technique.get("threads_chosen")
    if not chosen:
        return {}
    times = ", ".join(f"{count}: {numbers.fixed(1000 * seconds, 1)} ms" for count, seconds in chosen["seconds"].items())
    return {
        "threads chosen": f"{chosen['threads']} a process at most, by the median time of {chosen['rounds']} requests "
        f"of {chosen['new_tokens']} tokens with each number ({times})"
    }


def _pairs(value: Any) -> list[tuple[str, str]]:
    return text.flattened(value) if value else []


def _figures(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the figures that no table shows at first: those of plugins without a place in one are among them."""
    shown = {column.key for column in why.WHY} | {*memory.PARTS, *memory.PEAKS, "base_memory_bytes"}
    pairs = []
    for entry in registry.entries():
        figure = figures.get(entry.key)
        main = entry.table is not None and entry.table.main
        if main or entry.key in shown or figure is None or figure["value"] is None:
            continue
        group = entry.table.group if entry.table else ""
        title = f"{group}: {entry.label}" if group.lower() not in entry.label.lower() else entry.label
        pairs.append((title, _figure(figure, column.units(entry) or [(1.0, entry.unit)])))
    return pairs


def _figure(figure: dict[str, Any], units: list[tuple[float, str]]) -> str:
    """Return a figure with its unit and its interval."""
    scale = numbers.column_scale([figure["value"]], units)
    shown, interval = scale.show_with_unit(figure["value"]).strip(), scale.interval(figure["low"], figure["high"])
    if scale.unit == "%":
        low, high = (None if figure[end] is None else 100 * figure[end] for end in ("low", "high"))
        shown, interval = numbers.share(figure["value"]), numbers.percent_interval(low, high, signed=False)
    return f"{shown} ({interval})" if interval else shown


def _spreads(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """Return how far the prompts of a run lie apart, which is their difference and not noise alone."""
    titles = {"latency_s": "latency", "fixed_latency_s": "latency, fixed length", "tpot_s": "TPOT"}
    known = {title: figures[key].get("within_run_percent") for key, title in titles.items()}
    return [
        (title, f"\N{PLUS-MINUS SIGN}{numbers.fixed(value, 1)}%") for title, value in known.items() if value is not None
    ]


def _times(time: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Return where the time of the observed batch went."""
    titles = {
        "sample_s": "whole batch",
        "operators_s": "in operators or kernels",
        "target_forward_s": "a target pass",
        "draft_forward_s": "a draft pass",
        "verify_forward_s": "a verifying pass",
        "round_s": "a round",
    }
    return [
        (title, numbers.column_scale([time[key]], numbers.TIME).show_with_unit(time[key]))
        for key, title in titles.items()
        if (time or {}).get(key) is not None
    ]


def _memory(technique: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the readings of each device."""
    pairs = []
    if technique["memory_method"]:
        pairs.append(("read from", METHODS.get(technique["memory_method"], technique["memory_method"])))
    for device in technique["memory_devices"]:
        parts = []
        for key, name in DEVICE_READINGS:
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
        when = machines.time_span(run["started_at"], run.get("finished_at")) if run.get("started_at") else ""
        pairs.append((f"run {run['run']}", "; ".join([*costs, when] if when else costs)))
    return [pair for pair in pairs if pair[1]]


SECTION = Section("techniques", "Techniques", 60, techniques)
