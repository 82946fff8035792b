"""The report in short: what its Markdown version shows."""

from typing import Any

from scripts.report import (
    beside,
    columns,
    doubts_view,
    limits,
    machine_view,
    numbers,
    plain_view,
    quality,
    reproduce_view,
    rows,
    tail,
)
from scripts.report.columns import Column

COLUMNS = (
    Column("latency_s", "", "Latency", numbers.TIME),
    Column("latency_p99_s", "", "P99", numbers.TIME),
    Column("throughput_samples_per_s", "", "Samples/s", columns.PLAIN),
    Column("peak_memory_bytes", "", "Peak memory", numbers.BYTES),
    Column("rougeL", "", "ROUGE-L", columns.PLAIN, decimals=3),
)
CHANGES = {
    "latency_change_percent": "Latency change",
    "peak_memory_change_percent": "Memory change",
    "quality_kept_percent_rougeL": "ROUGE-L kept",
}
TOP = 3


class Safe(str):
    """Text that holds nothing from data, models or configuration, so that it needs no escaping."""


def brief(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return the short version's parts; texts that hold nothing but this project's own are :class:`Safe`."""
    techniques = comparison["techniques"]
    labels = {technique["name"]: technique["label"] for technique in techniques}
    again = reproduce_view.reproduce(comparison)
    baseline = labels.get(comparison["baseline"]["name"], "") if not comparison["baseline"]["reason"] else ""
    return {
        "title": comparison["title"],
        "top": _top(comparison["ranking"], labels),
        "scenarios": [_scenario(scenario, labels) for scenario in comparison["scenarios"]],
        "plain": _plain(comparison),
        "heads": _heads(techniques),
        "rows": _rows(techniques),
        "beside": [*beside.lines(comparison), *tail.lines(techniques)],
        "baseline": baseline,
        "changes": [*(Safe(title) for title in CHANGES.values()), Safe("Quality kept")],
        "absent": [_absent(technique) for technique in techniques if technique["status"] != "ok"],
        "doubts": doubts_view.summary(comparison, labels)["sentences"],
        "flags": [
            {"label": technique["label"], "message": " ".join(flag["message"] for flag in technique["flags"])}
            for technique in techniques
            if technique["flags"]
        ],
        "facts": _facts(comparison),
        "commands": [Safe(line) for line in again["setup"]],
        "notes": again["notes"],
    }


def _top(ranking: dict[str, Any] | None, labels: dict[str, str]) -> list[dict[str, str]]:
    """Return the best of the ranking with the study's own weights."""
    return [
        {
            "rank": Safe(entry["rank"]),
            "label": labels.get(entry["technique"], entry["technique"]),
            "score": Safe(limits.score(entry["score"])),
            "interval": Safe(limits.score_interval(entry["low"], entry["high"])),
            "chance": Safe(limits.chance(entry["chance_best"])),
        }
        for entry in ((ranking or {}).get("overall") or [])[:TOP]
    ]


def _scenario(scenario: dict[str, Any], labels: dict[str, str]) -> dict[str, str]:
    """Return a scenario's winner with its chance; where there is none, that nothing qualifies."""
    by_name = {entry["technique"]: entry for entry in scenario["ranked"]}
    winner, second = scenario["winner"], scenario["runner_up"]
    said = plain_view.short(scenario)
    named = labels.get(winner, winner) if winner else "no technique qualifies"
    return {
        "label": scenario["label"],
        "winner": f"{said}; best of several: {named}" if said else named,
        "chance": Safe(limits.chance(by_name[winner]["chance_best"]) if winner else numbers.NOTHING),
        "second": labels.get(second, second) if second else Safe(numbers.NOTHING),
    }


def _plain(comparison: dict[str, Any]) -> list[dict[str, str]]:
    """Return what must be said plainly of each scenario that something must be said of."""
    if not comparison["ranking"]:
        return []
    words = limits.Words(comparison)
    techniques = {technique["name"]: technique for technique in comparison["techniques"]}
    told = {each["label"]: plain_view.sentences(each, words, techniques) for each in comparison["scenarios"]}
    return [{"label": label, "text": " ".join(sentences)} for label, sentences in told.items() if sentences]


def _heads(techniques: list[dict[str, Any]]) -> list[Safe | str]:
    scales = columns.scales(COLUMNS, rows.ran(techniques))
    names = {c.key: c.title for c in COLUMNS} | {tail.KEY: tail.title(techniques)}
    return [f"{names[c.key]} ({scales[c.key].unit})" if scales[c.key].unit else Safe(names[c.key]) for c in COLUMNS]


def _rows(techniques: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the techniques that ran with their figures, and their changes against the baseline with the verdicts."""
    ran = rows.ran(techniques)
    scales = columns.scales(COLUMNS, ran)
    found = []
    for technique in ran:
        against = technique["changes"]["baseline"]["figures"] or {}
        changes = [columns.change_cell(against.get(key), key) for key in CHANGES]
        kept = quality.shown(technique["changes"]["baseline"])
        found.append(
            {
                "label": technique["label"],
                "cells": [Safe(_cell(technique, c.key, scales)) for c in COLUMNS],
                "changes": [
                    *({"text": Safe(cell["text"]), "verdict": cell["verdict"]} for cell in changes),
                    {"text": Safe(kept["verdict"] or numbers.NOTHING), "verdict": ""},
                ],
                "flagged": bool(technique["flags"]),
            }
        )
    return found


def _cell(technique: dict[str, Any], key: str, scales: dict[str, numbers.Scale]) -> str:
    figure = rows.figure(technique, key)
    return scales[key].show(figure["value"]) + (" (runaway)" if key == tail.KEY and tail.runs_away(figure) else "")


def _absent(technique: dict[str, Any]) -> dict[str, str]:
    head = rows.head(technique)
    return {"label": head["label"], "status": head["status"]["text"], "reason": head["reason"]}


def _facts(comparison: dict[str, Any]) -> list[dict[str, str]]:
    """Return machine, models, data and time, a line each."""
    conditions = machine_view.conditions(comparison)
    facts = [
        ("Machine", machine_view.machine_line(comparison["machine"])),
        ("Models", "; ".join(conditions["models"]) or "not recorded"),
        ("Data", ", ".join(f"{key} {value}" for key, value in conditions["data"])),
        ("Measured", conditions["when"] or "nothing was"),
    ]
    return [{"title": Safe(title), "value": value} for title, value in facts]
