"""What was measured of a technique, in sentences; a word of comparison stands only where a test allows it."""

import re
from typing import Any

from scripts.report import factors, numbers, rows, tail, words
from scripts.report.templates import sentences, told

UNCHANGED = 0.5
"""Weights that differ by less than this in percent are the same ones."""
TESTED = {"latency_change_percent": "speed-up", "throughput_change_percent": "samples/s"}
PARTS = {"ttft_change_percent": "TTFT speed-up", "tpot_change_percent": "TPOT speed-up"}
SCORES = (("rouge1", "ROUGE-1"), ("rouge2", "ROUGE-2"), ("rougeL", "ROUGE-L"))
MEMORY = {"weight_bytes": "weights", "kv_cache_bytes": "KV cache", "graph_pool_bytes": "pools of CUDA graphs"}


def performance(technique: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """Return latency and throughput with their intervals, and what the tests against parent and baseline say."""
    figures = technique["figures"]
    latency, rate = figures["latency_s"], figures["throughput_samples_per_s"]
    scale = numbers.column_scale([latency["value"]], numbers.TIME)
    end = tail.name([technique])
    found = sentences(
        "measured", "performance", technique=technique, latency=latency, rate=rate,
        mean=_shown(latency, scale), p50=_at(figures, "latency_p50_s", scale), last=_at(figures, tail.KEY, scale),
        end="P99" if end == tail.P99 else end, runaway=tail.told(figures[tail.KEY]),
        samples=_shown(rate, numbers.column_scale([rate["value"]], [(1.0, "samples/s")])),
        tokens=figures["throughput_tokens_per_s"]["value"],
    )  # fmt: skip
    if latency["value"] is None:
        return found
    flags = list(dict.fromkeys(flag["text"] for flag in rows.flags(technique)))
    return [*found, *_against(technique, labels), *sentences("measured", "doubts", flags=flags)]


def memory(technique: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """Return the peak, its parts, and its ratio to the parent's; memory is one reading a run and so is not tested."""
    devices = technique["memory_anatomy"] or []
    parts = [
        f"{name} {words.amount(size, numbers.BYTES)}"
        for key, name in MEMORY.items()
        if (size := sum(device.get(key) or 0 for device in devices)) > 0
    ]
    changed = [
        f"{what} {words.times(1 + found / 100)}"
        for key, what in (("peak_memory_change_percent", "peak"), ("weight_change_percent", "weights"))
        if (found := words.change(technique, key).get("value")) is not None
        and (what == "peak" or abs(found) >= UNCHANGED)
    ]
    return sentences(
        "measured", "memory", technique=technique, peak=words.value(technique, "peak_memory_bytes"),
        process=words.value(technique, "process_memory_bytes"), devices=len(devices), parts=parts, changed=changed,
        label=labels.get(technique["parent"], technique["parent"]), gpu=technique["smallest_gpu"],
    )  # fmt: skip


def quality(technique: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """Return the scores, whether quality is kept, and whether the text is the parent's."""
    score, plain = technique["figures"]["rougeL"], numbers.Scale("", 1.0, 3)
    known = [(title, words.value(technique, key)) for key, title in SCORES]
    found = sentences(
        "measured", "quality", score=score, interval=words.between(score, plain.show),
        scores=[f"{title} {plain.show(value)}" for title, value in known if value is not None],
    )  # fmt: skip
    if score["value"] is not None:
        found += _kept(technique, labels)
    match = technique["matches"]
    audited = "" if match.get("reason") else (match.get("audit") or {}).get("sentence")
    found += [words.sentence(audited)] if audited else []
    return [*found, *filter(None, [rounding(technique)])]


def _against(technique: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """Return the tests against the parent, and against the baseline where that is another one."""
    found = []
    for kind in ("parent", "baseline"):
        change = technique["changes"][kind]
        if change["figures"] is None or (kind == "baseline" and change["against"] == technique["parent"]):
            continue
        parts = [_tested(change["figures"], key, what) for key, what in TESTED.items()]
        if kind == "parent":
            further = ((key, what) for key, what in PARTS.items() if _differs(change["figures"][key]))
            parts += [_tested(change["figures"], key, what) for key, what in further]
        label = labels.get(change["against"], change["against"])
        found.append(words.sentence(told("measured", "against", label=label, parts=parts)))
    return found


def _differs(figure: dict[str, Any]) -> bool:
    return figure.get("verdict") not in (None, words.NO_DIFFERENCE)


def _tested(figures: dict[str, Any], key: str, what: str) -> str:
    """Return a change as its verdict allows it to be said."""
    figure = figures[key]
    ratio, interval = factors.texts(figure, key)
    verdict = words.verdict(figure)
    return told("measured", "tested", figure=figure, what=what, ratio=ratio, interval=interval, verdict=verdict)


def _kept(technique: dict[str, Any], labels: dict[str, str]) -> list[str]:
    """Return the gate against the baseline and, where that is another one, against the parent."""
    baseline, parent = (technique["changes"][kind] for kind in ("baseline", "parent"))
    found: list[str] = []
    for change in [baseline] if parent["against"] == baseline["against"] else [baseline, parent]:
        kept = change["quality_kept"]
        if change["figures"] is not None and kept["verdict"] is not None:
            label = labels.get(change["against"], change["against"])
            found += sentences("measured", "kept", label=label, kept=kept, with_reason=change is baseline)
    # Negative numbers have a true minus sign, as everywhere in the report.
    return [re.sub(r"(?<![\w-])-(?=\d)", numbers.MINUS, sentence) for sentence in found]


def rounding(technique: dict[str, Any]) -> str:
    """Return why a lossless technique wrote other text than its parent below float32; empty where it did not."""
    found = technique["matches"].get("lower_precision")
    return told("measured", "rounding", it=found) if found else ""


def _shown(figure: dict[str, Any], scale: numbers.Scale) -> str:
    if figure["value"] is None:
        return ""
    interval = scale.interval(figure["low"], figure["high"])
    return f"{scale.show_with_unit(figure['value'])}{f' (95% interval {interval})' if interval else ''}"


def _at(figures: dict[str, Any], key: str, scale: numbers.Scale) -> str:
    found = figures[key]["value"]
    return "not measured" if found is None else scale.show_with_unit(found)
