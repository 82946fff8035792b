"""Compares predictions with measurements, and names measured facts that may explain a miss.

Two models predict: speculation's (``speculation``) its speed over its target alone, and the roofline
(``metrics.families.why``) a technique's time per sample and its speed over its parent. Only facts that
were measured or follow from the technique's settings are named; without one the reason stays open.
"""

from typing import Any

from scripts.metrics.figures import ONE_READING, Figure, value_of

TOLERANCES = {"speculation": 0.1, "roofline_time": 0.25, "roofline_speedup": 0.25}
"""How far a measurement may lie from a prediction, as a share of it, beside both intervals, while the model holds."""
BUSY_HOST = 0.3
PROMPT = 0.1  # of a request: less is not worth a word
SLOWER_PASS = 1.1
NEAR_A_PEAK = 0.5

Row = dict[str, Any]


def add(rows: list[Row], break_even: list[dict[str, Any]], on_gpus: bool) -> None:
    """Add ``predictions`` to every technique.

    Args:
        rows: the techniques of the comparison, with figures and speed-ups.
        break_even: the model of speculation beside what was measured.
        on_gpus: whether each process has a GPU of its own.

    Each prediction has its ``kind``, ``predicted`` and ``measured`` (``value``, ``low``, ``high``), ``tolerance``,
    ``opposite`` (the two lie on different sides of 1, intervals and all), ``holds`` and, where it does not, ``facts``:
    per fact its ``fact`` and ``value``, and ``other`` where there are two.
    """
    known = {row["name"]: row for row in rows}
    drafting = {entry["technique"]: entry for entry in break_even}
    for row in rows:
        found = []
        if row["status"] == "ok":
            parent = known.get(row["parent"] or "")
            parent = parent if parent and parent["status"] == "ok" else None
            found = [_speculation(row, parent, drafting), _time(row, on_gpus), _speedup(row, parent)]
        row["predictions"] = [entry for entry in found if entry]


def _speculation(row: Row, parent: Row | None, drafting: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Return the model of speculation against the speed over the target alone, where that is the parent."""
    model = drafting.get(row["name"])
    if model is None or parent is None or parent["name"] in drafting or set(row["difference"]) != {"speculation"}:
        return None
    found = _checked("speculation", model["predicted_speedup"], row["measured_speedup"])
    if found is not None and found["opposite"]:
        found["holds"] = False  # a gain was predicted and a loss measured, or the other way round: break-even is wrong
    if found is None or found["holds"]:
        return found
    facts, less = [], _below(found)
    cost = model["verification_ratio"]["value"]
    if less and cost is not None and cost >= SLOWER_PASS:
        facts.append({"fact": "verification", "value": cost})
    time = row["time"] or {}
    passes = (time.get("verify_forward_s") or time.get("target_forward_s") or 0) + model["draft_tokens"] * (
        time.get("draft_forward_s") or 0
    )
    if less and time.get("round_s") and passes and time["round_s"] >= SLOWER_PASS * passes:
        facts.append({"fact": "round", "value": time["round_s"] / passes})
    share = _share(row, "ttft_s", "latency_s")
    if share is not None and share >= PROMPT and _nearer_to_one(found):
        facts.append({"fact": "prompt", "value": share})
    return found | {"facts": [*facts, *(_host(row) if less else [])]}


def _time(row: Row, on_gpus: bool) -> dict[str, Any] | None:
    """Return the roofline's time per sample against the measured one."""
    throughput = row["figures"]["throughput_samples_per_s"]
    ends = zip(("value", "low", "high"), ("value", "high", "low"), strict=True)
    measured = {end: 1 / throughput[other] if throughput[other] else None for end, other in ends}
    predicted = row["figures"].get("predicted_time_per_sample_s") or {}
    found = _checked("roofline_time", predicted, measured)
    if found is None or found["holds"]:
        return found
    if _below(found):
        noted = predicted.get("note") not in (None, ONE_READING)
        return found | {"facts": [{"fact": "cache", "value": None}] if noted else []}
    facts = _host(row)
    processes = row["processes"] or 1
    if processes > 1 and not on_gpus:
        facts.append({"fact": "shared", "value": processes})
    return found | {"facts": [*facts, *_communication(row), *_unbound(row, "unbound")]}


def _speedup(row: Row, parent: Row | None) -> dict[str, Any] | None:
    """Return the roofline's speed over the parent against the measured one."""
    found = _checked("roofline_speedup", row["predicted_speedup"], row["measured_speedup"])
    if found is None or found["holds"] or parent is None:
        return found
    # The technique that misses the roofline more is the one to explain.
    facts = [*_host(row), *_communication(row), *_unbound(row, "unbound")] if _below(found) else []
    return found | {"facts": facts or _unbound(parent, "parent_unbound")}


def _checked(kind: str, predicted: Figure | None, measured: Figure) -> dict[str, Any] | None:
    """Compare a measurement with a prediction; None where one of them has no value."""
    ours, theirs = (_interval(each or {}) for each in (measured, predicted))
    if ours is None or theirs is None:
        return None
    tolerance = TOLERANCES[kind]
    holds = ours["high"] >= theirs["low"] * (1 - tolerance) and ours["low"] <= theirs["high"] * (1 + tolerance)
    shown = {key: {end: each.get(end) for end in ("value", "low", "high")}
             for key, each in (("predicted", predicted), ("measured", measured))}  # fmt: skip
    opposite = ours["high"] < 1 < theirs["low"] or theirs["high"] < 1 < ours["low"]
    return {"kind": kind} | shown | {"tolerance": tolerance, "opposite": opposite, "holds": holds, "facts": []}


def _interval(figure: Figure) -> dict[str, float] | None:
    """Return a figure's value with the ends of its interval, the value itself where it has none."""
    value = figure.get("value")
    if value is None:
        return None
    return {end: value if figure.get(end) is None else figure[end] for end in ("value", "low", "high")}


def _below(found: dict[str, Any]) -> bool:
    return found["measured"]["value"] < found["predicted"]["value"]


def _nearer_to_one(found: dict[str, Any]) -> bool:
    """Whether the measurement lies between no effect and the prediction, as where only a part of a request gains."""
    predicted, measured = found["predicted"]["value"], found["measured"]["value"]
    return min(1, predicted) <= measured <= max(1, predicted)


def _host(row: Row) -> list[dict[str, Any]]:
    share = value_of(row, "host_bound_share")
    return [{"fact": "host", "value": share}] if share is not None and share >= BUSY_HOST else []


def _communication(row: Row) -> list[dict[str, Any]]:
    """Return the share of the time that rank 0 spends on other ranks, where it was measured and is worth a word."""
    ranks = ((row["evidence"] or {}).get("parallel") or {}).get("ranks") or [{}]
    share = ranks[0].get("communication_share")
    return [{"fact": "communication", "value": share}] if share is not None and share >= PROMPT else []


def _unbound(row: Row, fact: str) -> list[dict[str, Any]]:
    """Return the shares of bandwidth and arithmetic where neither is near its peak: the roofline takes one to be."""
    for peak in ("datasheet", "measured"):
        bandwidth, arithmetic = (value_of(row, f"{key}_{peak}") for key in ("mbu", "mfu"))
        if bandwidth is not None and arithmetic is not None:
            near = max(bandwidth, arithmetic) >= NEAR_A_PEAK
            return [] if near else [{"fact": fact, "value": bandwidth, "other": arithmetic}]
    return []


def _share(row: Row, top: str, bottom: str) -> float | None:
    own, whole = value_of(row, top), value_of(row, bottom)
    return own / whole if own is not None and whole else None
