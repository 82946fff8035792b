"""The view of the comparison of two studies: all that page and Markdown show, as text."""

from typing import Any

from scripts.comparison.studies import estimates, judging
from scripts.comparison.studies.judging import ABSOLUTE, BASELINE
from scripts.report import column, machines, numbers, text
from scripts.report.numbers import Scale
from scripts.report.studies import sentences
from scripts.report.studies.sentences import Comparison

LONGEST = 160
MOST = 12
"""So many entries of a group of differences stand in the page at once; the others are folded."""
TITLES = {
    "latency_s": "Latency",
    "fixed_latency_s": "Latency, fixed length",
    "throughput_samples_per_s": "Samples/s",
    "peak_memory_bytes": "Peak memory",
    "capacity_per_s": "Requests/s within limits",
    "rougeL": "ROUGE-L",
}
WAYS = {ABSOLUTE: "The figures as they are", BASELINE: "Each technique against its own study's baseline"}
EMPTY = dict.fromkeys(("interval", "from", "verdict", "tone", "p_value", "p_beyond", "note"), "") | {
    "text": numbers.NOTHING,
    "chip": False,
}


def view(comparison: Comparison) -> dict[str, Any]:
    """Build the view; every text in it is inert, and the template escapes it."""
    found = text.inert_values(comparison)
    tables = [table(found, way) for way in sorted(WAYS, key=lambda way: way != found["decides"])]
    return {
        "title": found["new"]["title"],
        "sides": [_side(found, key, title) for key, title in (("new", "New"), ("old", "Previous"))],
        "answer": sentences.answer(found),
        "worse": sentences.worse(found),
        "failed": bool(found["worse"]),
        "why": found["why"],
        "unpaired": found["unpaired"],
        "prompts": found["prompts"]["note"],
        "differences": differences(found),
        "tables": [each for each in tables if each["rows"]],
        "apart": apart(found),
        "settings": settings(found),
        "bounds": bounds(found),
    }


def bounds(found: Comparison) -> str:
    """Return the bounds in a sentence's end."""
    return ", ".join(f"{kind.title} {found['bounds'][kind.name]:g}%" for kind in judging.KINDS)


def differences(found: Comparison) -> dict[str, Any]:
    """Return what differs by group, and which groups are the same."""
    groups = found["differences"]
    return {
        "groups": [_group(each["title"], each["entries"]) for each in groups if each["entries"]],
        "same": [each["title"] for each in groups if not each["entries"]],
    }


def _group(title: str, entries: list[dict[str, str]]) -> dict[str, Any]:
    """Return differences under a title, those beyond the first few apart."""
    shown = [{key: text.shortened(entry[key], LONGEST) for key in ("what", "old", "new")} for entry in entries]
    return {"title": title, "first": shown[:MOST], "rest": shown[MOST:]}


def table(found: Comparison, way: str) -> dict[str, Any]:
    """Return the changes of every technique that could be compared, in one of the two ways."""
    compared = [row for row in found["techniques"] if row["changes"]]
    keys = [key for key in TITLES if any(_change(row, key, way)["value"] is not None for row in compared)]
    scales = {key: _scale(key, compared) for key in keys}
    rows = [
        {
            "label": row["label"],
            "baseline": row["name"] == found["baseline"],
            "cells": [_cell(found, row, key, way, scales[key]) for key in keys],
            "headlines": sentences.headlines(row["output"]),
        }
        for row in compared
    ]
    notes = {
        f"{TITLES[key]}: {note}" for key in TITLES for row in compared
        if (note := _change(row, key, way)["note"]) and _change(row, key, way)["p_value"] is None
        and note != judging.IS_BASELINE
    }  # fmt: skip
    return {
        "way": way,
        "title": WAYS[way],
        "decides": way == found["decides"],
        "heads": [TITLES[key] for key in keys],
        "rows": rows if keys else [],
        "tested": any(cell["p_value"] for row in rows for cell in row["cells"]),
        "notes": [f"{note}." for note in sorted(notes)],
    }


def apart(found: Comparison) -> list[dict[str, str]]:
    """Return the techniques that could not be compared, each with the reason."""
    return [
        {"label": row["label"], "reason": _why_apart(row)}
        for row in found["techniques"]
        if not row["changes"] and not row["settings"]
    ]


def settings(found: Comparison) -> list[dict[str, Any]]:
    """Return the techniques that were asked something else under the same name, and what."""
    return [_group(row["label"], row["settings"]) for row in found["techniques"] if row["settings"]]


def _why_apart(row: dict[str, Any]) -> str:
    if row["in"] != "both":
        which = "new" if row["in"] == "new" else "previous"
        return f"only in the {which} study ({sentences.status(row['status'][row['in']])})"
    old, new = (sentences.status(row["status"][side]) for side in ("old", "new"))
    why = f": {row['reason']}" if row["reason"] else ""
    return f"no figures in either study ({new}{why})" if old == new else f"was {old}, is {new}{why}"


def _side(found: Comparison, key: str, title: str) -> dict[str, Any]:
    side = found[key]
    when = machines.time_span(side["started_at"], side["finished_at"]) if side["started_at"] else "not recorded"
    runs = "/".join(map(str, side["runs"]))
    facts = [
        ("Study", side["title"]),
        ("Measured", when),
        ("Machine", machines.machine_line(side["machine"])),
        ("Techniques", f"{side['techniques']}, {runs} run{'s' * (runs != '1')} each, {side['prompts']:,} prompts"),
    ]
    return {"title": title, "facts": facts}


def _scale(key: str, compared: list[dict[str, Any]]) -> Scale:
    values = [value for row in compared for value in row["values"][key].values()]
    entry = estimates.entry_of(key)
    chosen = numbers.column_scale(values, column.units(entry) or [(1.0, entry.unit)])
    return chosen if entry.decimals is None else Scale(chosen.unit, chosen.size, entry.decimals)


def _cell(found: Comparison, row: dict[str, Any], key: str, way: str, scale: Scale) -> dict[str, Any]:
    """Return one change as a cell: in percent, its interval, where it came from, and what the tests say."""
    change = _change(row, key, way)
    if change["value"] is None:
        return EMPTY | {"note": change["note"]}
    bound, state = found["bounds"][judging.KIND_OF[key].name], change.get("bound")
    told = sentences.is_told(change)
    good = told and sentences.better(estimates.entry_of(key), change["value"])
    p_value, beyond = (sentences.p_value(change.get(f"adjusted_{key}")) for key in ("p_value", "p_beyond"))
    tests = [f"no change: {p_value}" if p_value else "", f"worse by {bound:g}% at most: {beyond}" if beyond else ""]
    return {
        "text": numbers.percent(change["value"]),
        "interval": sentences.interval(change),
        "from": _from(row["values"][key], scale) if change is row["changes"][key][ABSOLUTE] else "",
        "verdict": _verdict(change, told, bound),
        "tone": "good" if good else "bad" if told or state == judging.BEYOND else "unclear",
        "chip": state == judging.BEYOND or good,
        "p_value": p_value,
        "p_beyond": f"{bound:g}%: {beyond}" if beyond else "",
        "note": "; ".join(filter(None, [change.get("verdict"), *tests, change["note"]])),
    }


def _change(row: dict[str, Any], key: str, way: str) -> dict[str, Any]:
    """Return a change in one of the two ways; quality has only one."""
    return row["changes"][key][ABSOLUTE if judging.KIND_OF[key].name == "quality" else way]


def _verdict(change: dict[str, Any], told: bool, bound: float) -> str:
    """Return the words of a cell: the change that a test shows, else where it lies against the bound."""
    state = change.get("bound")
    if state == judging.BEYOND:
        return f"{change['verdict']}, beyond {bound:g}%"
    if told:
        return change["verdict"]
    if "follows" in change:
        return ""
    return {judging.WITHIN: f"within {bound:g}%", judging.UNDECIDED: "undecided"}.get(state, "not tested")


def _from(values: dict[str, float | None], scale: Scale) -> str:
    unit = f" {scale.unit}" if scale.unit else ""
    return f"{scale.show(values['old'])} \N{RIGHTWARDS ARROW} {scale.show(values['new'])}{unit}"
