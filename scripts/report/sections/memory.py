"""What the memory of each technique consists of, as figures and as bars on one scale."""

from typing import Any

from scripts.report import numbers, rows
from scripts.report.section import Section

WIDTH, HEIGHT = 300, 16
PARTS = {
    "base_bytes": "before loading",
    "weight_bytes": "weights",
    "kv_cache_bytes": "KV cache",
    "activation_bytes": "activations and workspace",
    "graph_pool_bytes": "pools of CUDA graphs",
    "allocator_bytes": "allocator's rounding, unused",
    "outside_bytes": "libraries and buffers later",
    "stale_file_bytes": "checkpoint pages no longer used",
    "rest_bytes": "other objects, rest",
}
ALWAYS = 4
PEAKS = {
    "load_peak_bytes": "added while loading", "peak_bytes": "added at the peak", "process_bytes": "whole process"
}  # fmt: skip
AGREES = {True: ("yes", "good"), False: ("no", "bad"), None: ("not known", "unclear")}


def memory(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return a row a technique, summed over its devices, and the rows of the devices where there are several."""
    shown = [(technique, technique["memory_anatomy"] or []) for technique in rows.ran(comparison["techniques"])]
    sums = [_summed(devices) for _, devices in shown]
    scale, parts = _scale(sums), _present(sums)
    longest = max((_extent(summed) for summed in sums), default=0.0)
    found = []
    for (technique, devices), summed in zip(shown, sums, strict=True):
        found.append(
            rows.head(technique)
            | {
                "unexplained": _unexplained(technique["memory_check"]),
                "devices": len(devices),
                "cells": [_shown(summed[key], scale) for key in (*parts, *PEAKS)],
                "bar": _bar(summed, longest),
                "check": _check(technique["memory_check"]),
                "gpu": _gpu(technique["smallest_gpu"]),
            }
        )
    return {
        "unit": scale.unit,
        "parts": [{"class": _class(key), "title": PARTS[key]} for key in parts],
        "peaks": list(PEAKS.values()),
        "rows": found,
        "width": WIDTH,
        "height": HEIGHT,
        "devices": _device_rows(shown, scale, parts),
        "notes": sorted({technique["smallest_gpu"]["note"] for technique, _ in shown if technique["smallest_gpu"]}),
    }


def _present(sums: list[dict[str, float | None]]) -> list[str]:
    """Return the parts that a technique has something of; the first four stand in any case."""
    return [key for at, key in enumerate(PARTS) if at < ALWAYS or any(summed[key] for summed in sums)]


def _class(key: str) -> str:
    return key.removesuffix("_bytes")


def _summed(devices: list[dict[str, Any]]) -> dict[str, float | None]:
    """Sum each part over the devices; None where a device has no reading."""
    return {
        key: None if not devices or None in (values := [device.get(key) for device in devices]) else sum(values)
        for key in (*PARTS, *PEAKS)
    }


def _scale(sums: list[dict[str, float | None]]) -> numbers.Scale:
    """Choose one unit for the whole table, so that parts can be added up by eye."""
    chosen = numbers.column_scale([summed["process_bytes"] or summed["peak_bytes"] for summed in sums], numbers.BYTES)
    return numbers.Scale(chosen.unit, chosen.size, max(chosen.decimals, 1))


def _shown(value: float | None, scale: numbers.Scale) -> str:
    """Return a size in the table's unit, or in its own where it would lose all but one digit."""
    if value == 0:
        return "0"
    if value and abs(value) < 10 * scale.size / 10**scale.decimals:
        return numbers.column_scale([value], numbers.BYTES).show_with_unit(value)
    return scale.show(value)


def _extent(summed: dict[str, float | None]) -> float:
    return max(sum(max(0.0, summed[key] or 0.0) for key in PARTS), _load_peak(summed) or 0.0)


def _load_peak(summed: dict[str, float | None]) -> float | None:
    """Return where the peak of loading is on the bar, which begins with what stood before."""
    load = summed["load_peak_bytes"]
    return None if load is None else (summed["base_bytes"] or 0.0) + load


def _bar(summed: dict[str, float | None], longest: float) -> dict[str, Any]:
    """Place the parts end to end on the common scale, and the peak while loading as a mark."""
    pixels = WIDTH / longest if longest else 0.0
    parts, left = [], 0.0
    for key, title in PARTS.items():
        value = summed[key]
        if value and value > 0:
            width = value * pixels
            told = f"{title}: {numbers.column_scale([value], numbers.BYTES).show_with_unit(value)}"
            place = {"x": round(left, 1), "width": round(width, 1)}
            parts.append({"class": _class(key), "title": told} | place)
            left += width
    mark = _load_peak(summed)
    return {
        "parts": parts,
        "mark": None if mark is None else round(min(mark * pixels, WIDTH - 1), 1),
        "text": "; ".join(part["title"] for part in parts),
    }


def _check(check: dict[str, Any] | None) -> dict[str, str]:
    """Return measured over computed bytes and whether both are within 5% of 1."""
    check = check or {"weights_ratio": None, "kv_cache_ratio": None, "agrees": None}
    text, tone = AGREES[check["agrees"]]
    return {
        "weights": _ratio(check["weights_ratio"]),
        "cache": _ratio(check["kv_cache_ratio"]),
        "agrees": text,
        "tone": tone,
    }


def _unexplained(check: dict[str, Any] | None) -> str:
    """Return the share of the process that its parts leave open."""
    share = (check or {}).get("unexplained_share")
    return numbers.NOTHING if share is None else numbers.share(share)


def _ratio(value: float | None) -> str:
    return numbers.NOTHING if value is None else numbers.fixed(value, 3)


def _gpu(gpu: dict[str, Any] | None) -> dict[str, str]:
    if gpu is None:
        return {"text": "memory was not read", "needed": ""}
    name = gpu["name"] or "none of the table is large enough"
    count = f"{gpu['devices']} {numbers.TIMES} " if gpu["name"] and gpu["devices"] > 1 else ""
    size = numbers.column_scale([gpu["needed_bytes"]], numbers.BYTES).show_with_unit(gpu["needed_bytes"])
    return {"text": f"{count}{name}", "needed": f"{size} needed{' on each' if gpu['devices'] > 1 else ''}"}


def _device_rows(
    shown: list[tuple[dict[str, Any], list[dict[str, Any]]]], scale: numbers.Scale, parts: list[str]
) -> list[list[str]]:
    """Return the devices of the techniques that ran on several: label, device, then each part and peak."""
    return [
        [
            technique["label"],
            str(device.get("device")),
            *(_shown(device.get(key), scale) for key in (*parts, *PEAKS, "device_total_bytes")),
        ]
        for technique, devices in shown
        if len(devices) > 1
        for device in devices
    ]


SECTION = Section("memory", "Memory", 70, memory, within="results")
