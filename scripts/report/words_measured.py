"""What was measured of a technique, in sentences; a word of comparison stands only where a test allows it."""

import re
from typing import Any

from scripts.report import columns, numbers, rows, tail, words

UNCHANGED = 0.5
"""Weights that differ by less than this in percent are the same ones."""
TESTED = {"latency_change_percent": "latency", "throughput_change_percent": "samples/s"}
PARTS = {"ttft_change_percent": "TTFT", "tpot_change_percent": "TPOT"}
SCORES = (("rouge1", "ROUGE-1"), ("rouge2", "ROUGE-2"), ("rougeL", "ROUGE-L"))


def performance(technique: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """Return latency and throughput with their intervals, and what the tests against parent and baseline say."""
    figures = technique["figures"]
    latency = figures["latency_s"]
    if latency["value"] is None:
        return [words.sentence(f"Latency was not measured: {latency['note'] or 'no reason was recorded'}")]
    scale = numbers.column_scale([latency["value"]], numbers.TIME)
    first = f"Mean latency {_shown(latency, scale)}, P50 {_at(figures, 'latency_p50_s', scale)}, "
    what = "P99" if (end := tail.name([technique])) == tail.P99 else end
    first += f"{what} {_at(figures, tail.KEY, scale)}"
    if beside := tail.told(figures[tail.KEY]):
        first += f"; {beside}"
    rate, tokens = figures["throughput_samples_per_s"], figures["throughput_tokens_per_s"]
    second = ""
    if rate["value"] is not None:
        second = f"{_shown(rate, numbers.column_scale([rate['value']], [(1.0, 'samples/s')]))}"
        if tokens["value"] is not None:
            second += f" and {words.amount(tokens['value'], [(1.0, 'new tokens/s')])}"
        second += f" with a batch size of {technique['batch_size'] or 1}"
    return [words.sentence(first), words.sentence(second), *_against(technique, labels), *_flags(technique)]


def memory(technique: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """Return the peak, its parts, and its ratio to the parent's; memory is one reading a run and so is not tested."""
    peak = words.value(technique, "peak_memory_bytes")
    if peak is None:
        return [words.sentence(f"Memory was not measured: {technique['figures']['peak_memory_bytes']['note']}")]
    devices = technique["memory_anatomy"] or []
    place = f" over {len(devices)} devices" if len(devices) > 1 else ""
    parts = [
        f"{name} {words.amount(size, numbers.BYTES)}"
        for key, name in (
            ("weight_bytes", "weights"),
            ("kv_cache_bytes", "KV cache"),
            ("graph_pool_bytes", "pools of CUDA graphs"),
        )
        if devices and (size := sum(device.get(key) or 0 for device in devices)) > 0
    ]
    consists = f": {words.listed(parts)}, the rest activations and workspace" if parts else ""
    whole = words.value(technique, "process_memory_bytes")
    process = "" if whole is None else f" The whole process with its libraries: {words.amount(whole, numbers.BYTES)}."
    told = [f"Peak {words.amount(peak, numbers.BYTES)}{place} above what stood before loading{consists}.{process}"]
    changed = [
        f"{what} {words.times(1 + found / 100)}"
        for key, what in (("peak_memory_change_percent", "peak"), ("weight_change_percent", "weights"))
        if (found := words.change(technique, key).get("value")) is not None
        and (what == "peak" or abs(found) >= UNCHANGED)
    ]
    if changed:
        label = labels.get(technique["parent"], technique["parent"])
        told.append(f"Against {label}: {words.listed(changed)}; one reading a run, so not tested.")
    gpu = technique["smallest_gpu"]
    if gpu:
        count = f"{gpu['devices']} {numbers.TIMES} " if gpu["devices"] > 1 else ""
        needed = f"{words.amount(gpu['needed_bytes'], numbers.BYTES)} needed{' on each' if gpu['devices'] > 1 else ''}"
        known = (
            f"Smallest GPU that fits: {count}{gpu['name']} ({needed})"
            if gpu["name"]
            else f"No GPU of the table fits ({needed})"
        )
        told.append(words.sentence(known))
    return told


def quality(technique: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """Return the scores, whether quality is kept, and whether the text is the parent's."""
    figures, told = technique["figures"], []
    score = figures["rougeL"]
    if score["value"] is None:
        told.append(words.sentence(f"Quality was not measured: {score['note'] or 'no reason was recorded'}"))
    else:
        plain = numbers.Scale("", 1.0, 3)
        shown = [
            f"{title} {plain.show(found)}"
            for key, title in SCORES
            if (found := words.value(technique, key)) is not None
        ]
        told.append(words.sentence(words.listed(shown) + words.between(score, plain.show)))
        told += _kept(technique, labels)
    match = technique["matches"]
    audit = match.get("audit") or {}
    if audit.get("sentence") and not match.get("reason"):
        told.append(words.sentence(audit["sentence"]))
    return told


def _against(technique: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """Return the tests against the parent, and against the baseline where that is another one."""
    told = []
    for kind in ("parent", "baseline"):
        change = technique["changes"][kind]
        if change["figures"] is None or (kind == "baseline" and change["against"] == technique["parent"]):
            continue
        label = labels.get(change["against"], change["against"])
        parts = [_tested(change["figures"][key], what) for key, what in TESTED.items()]
        if kind == "parent":
            found = ((change["figures"][key], what) for key, what in PARTS.items())
            parts += [_tested(figure, what) for figure, what in found if _differs(figure)]
        told.append(words.sentence(f"Against {label}: {'; '.join(filter(None, parts))}"))
    return told


def _differs(figure: dict[str, Any]) -> bool:
    return figure.get("verdict") not in (None, words.NO_DIFFERENCE)


def _tested(figure: dict[str, Any], what: str) -> str:
    """Return a change as its verdict allows it to be said."""
    if figure.get("value") is None:
        return ""
    ratio, interval = columns.ratio_texts(figure.get("ratio"), figure.get("ratio_low"), figure.get("ratio_high"))
    return f"{what} {ratio}{f' ({interval})' if interval else ''}, {words.verdict(figure)}"


def _kept(technique: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """Return the gate against the baseline and, where that is another one, against the parent."""
    told = []
    for kind in ("baseline", "parent"):
        change = technique["changes"][kind]
        kept = change["quality_kept"]
        if change["figures"] is None or kept["verdict"] is None:
            continue
        if kind == "parent" and change["against"] == technique["changes"]["baseline"]["against"]:
            continue
        label = labels.get(change["against"], change["against"])
        reason = f": {kept['reason']}" if kind == "baseline" else ""
        told.append(_true_minus(words.sentence(f"Against {label}, quality is {kept['verdict']}{reason}")))
    return told


def _true_minus(text: str) -> str:
    """Return a text whose negative numbers have a true minus sign, as everywhere in the report."""
    return re.sub(r"(?<![\w-])-(?=\d)", numbers.MINUS, text)


def _flags(technique: dict[str, Any]) -> list[str]:
    flags = list(dict.fromkeys(flag["text"] for flag in rows.flags(technique)))
    return [words.sentence(f"Doubts: {words.listed(flags)}")] if flags else []


def _shown(figure: dict[str, Any], scale: numbers.Scale) -> str:
    interval = scale.interval(figure["low"], figure["high"])
    return f"{scale.show_with_unit(figure['value'])}{f' (95% interval {interval})' if interval else ''}"


def _at(figures: dict[str, Any], key: str, scale: numbers.Scale) -> str:
    found = figures[key]["value"]
    return "not measured" if found is None else scale.show_with_unit(found)
