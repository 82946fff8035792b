"""The content of comparison.json."""

import copy
import hashlib
import json
from typing import Any

from scripts.comparison import (
    answer,
    audit,
    changes,
    costs,
    drift,
    fronts,
    groups,
    interactions,
    limits,
    load,
    lower_precision,
    matches,
    order,
    predictions,
    prompts,
    ranking,
    references,
    scenarios,
    shapes,
    speculation,
    sufficiency,
    sweeps,
    unsupported,
    uses,
    verdicts,
)
from scripts.comparison.columns import Columns
from scripts.comparison.loading import Metrics
from scripts.foundation.text import listed
from scripts.hardware import datasheet, fit

COPIED = (
    "status", "reason", "quality_measured", "figures", "sample_count", "run_count", "batch_size",
    "tokens_differ_between_runs", "memory_method", "memory_devices", "memory_anatomy", "memory_check", "smallest_gpu",
    "text_tokenizer", "semantic_model",
    "entailment_model", "bertscore_model", "unscored_reason", "modes", "models", "generation", "evidence", "threads",
    "threads_chosen", "processes", "runs", "load", "calibration", "conditions", "energy", "time", "provenance",
)  # fmt: skip
REFERENCES = ("parent", "baseline")
FORMAT = 1
"""Of comparison.json: another number where a reader of the old form would misread the new one."""


def comparison(
    study: dict[str, Any], dataset: list[dict[str, Any]], manifest: dict[str, Any], metrics: Metrics
) -> dict[str, Any]:
    """Compare the techniques of a study.

    Args:
        study: title, baseline, prompt, examples, comparison, sweeps and the techniques in report order.
        dataset: the rows of the evaluation set.
        manifest: the dataset's manifest, passed through.
        metrics: per technique the content of its metrics file.
    """
    metrics, found = audit.audited(study, metrics)
    columns = Columns(metrics)
    baseline = study.get("baseline")
    rows = [_technique(entry, baseline, metrics, columns, found[entry["name"]]) for entry in study["techniques"]]
    lower_precision.add(rows)
    drifted = drift.flags(metrics)
    for row in rows:
        row["flags"] += [drifted[row["name"]]] if row["name"] in drifted else []
    _judge(rows, metrics, study.get("comparison") or {}, bool(study.get("on_gpus")))
    present = baseline if baseline in metrics and metrics[baseline]["status"] == "ok" else None
    ran = [metrics[row["name"]] for row in rows if row["status"] == "ok"]
    source = next(iter(ran or metrics.values()))
    found_answer = answer.answer(rows, present, columns)
    drawn = shapes.shapes(metrics, present)
    rows = [row | {"shapes": drawn.get(row["name"])} for row in rows]
    ranked = ranking.ranking(study, rows, metrics, columns)
    break_even = speculation.break_evens(metrics, {row["name"]: row["measured_speedup"] for row in rows})
    predictions.add(rows, break_even, bool(study.get("on_gpus")))
    drawn_fronts = fronts.fronts(rows, ranked, columns)
    chosen = scenarios.scenarios(study, rows, ranked)
    missing = sufficiency.lacking(rows, len(dataset))
    if missing:
        sufficiency.without_winner(chosen)
    return {
        "format": FORMAT,
        "title": study.get("title") or "Inference optimisation study",
        "prompt": study.get("prompt"),
        "baseline": {"name": baseline, "reason": None if present else audit.no_figures(baseline, metrics)},
        "answer": found_answer | {"fastest_ties": answer.ties(found_answer["fastest"], metrics, columns)},
        "left_out": study.get("left_out") or [],
        "load": load.load(study, metrics, bool(study.get("on_gpus"))),
        "no_winner": missing,
        "uses": None if missing else uses.uses(rows, present, metrics, columns),
        "ranking": ranked,
        "timed_beside": _timed_beside(ran, columns),
        "fronts": drawn_fronts,
        "limits": limits.table(),
        "price": costs.price(study.get("comparison") or {}),
        "scenarios": chosen,
        "techniques": rows,
        "groups": groups.groups(dataset, rows, columns),
        "interactions": interactions.interactions(study, metrics, columns),
        "sweeps": sweeps.sweeps(study, metrics, break_even),
        "break_even": break_even,
        "order": order.order(metrics),
        "prompts": prompts.prompts(study, dataset, metrics),
        "unsupported": unsupported.unsupported(dataset, metrics),
        "references": references.references(study, rows, metrics, columns),
        "gpus": _gpus(),
        "configuration": _configuration(study),
        "dataset": {"samples": len(dataset), "manifest": manifest},
        "machine": source.get("machine"),
        "on_gpus": bool(study["on_gpus"]) if "on_gpus" in study else None,
        "versions": source.get("versions"),
        "provenance": source.get("provenance"),
        "started_at": _extreme(min, metrics, "started_at"),
        "finished_at": _extreme(max, metrics, "finished_at"),
    }


def _technique(
    entry: dict[str, Any], baseline: str | None, metrics: Metrics, columns: Columns, match: dict[str, Any]
) -> dict[str, Any]:
    """Build the part of one technique, its verdicts left out."""
    name, parent = entry["name"], entry.get("parent")
    content = metrics[name]
    compared = {}
    for kind, other in zip(REFERENCES, (parent, baseline), strict=True):
        reason = audit.absence(name, other, kind, metrics)
        figures = None
        if kind == "baseline" and other == parent and not reason:
            figures = copy.deepcopy(compared["parent"]["figures"])  # the same changes, judged apart
        elif not reason:
            figures = changes.changes(content, metrics[other], columns)
        same_text = not reason and matches.same_text(content, metrics[other])
        compared[kind] = {"against": other, "reason": reason, "same_text": same_text, "figures": figures}
    return {
        "name": name,
        "label": entry.get("label") or name,
        "parent": parent,
        "lossless": bool(entry.get("lossless")),
        "difference": entry.get("difference") or {},
        "facets": entry.get("facets"),
        "settings": entry.get("settings") or content.get("settings") or {},
        **{key: content.get(key) for key in COPIED},
        "flags": (content.get("flags") or []) + _several_changes(entry),
        "changes": compared,
        "matches": match,
        "tokens_digest": _tokens_digest(content),
    }


def _tokens_digest(content: dict[str, Any]) -> str | None:
    """Return a digest of the tokens that a technique wrote for all prompts, by which two studies' can be compared."""
    if content["status"] != "ok":
        return None
    return hashlib.sha256(json.dumps(content["samples"]["token_ids"]).encode()).hexdigest()[:16]


def _several_changes(entry: dict[str, Any]) -> list[dict[str, str]]:
    """Flag a technique that changes more than one facet of its parent: their effects are confounded."""
    changed = sorted(entry.get("difference") or {})
    if entry.get("parent") is None or len(changed) < 2:
        return []
    message = f"It differs from its parent in {listed(changed)} at once, so that the change of neither can be told."
    return [{"kind": "several_changes", "message": message}]


def _judge(rows: list[dict[str, Any]], metrics: Metrics, settings: dict[str, Any], on_gpus: bool) -> None:
    """Add verdicts, which need all comparisons, and costs to every technique."""
    margin = settings.get("non_inferiority_margin", verdicts.MARGIN)
    bound = settings.get("length_bound", verdicts.LENGTH_BOUND)
    for kind in REFERENCES:
        compared = {row["name"]: row["changes"][kind]["figures"] for row in rows if row["changes"][kind]["figures"]}
        verdicts.add_verdicts(compared)
        for row in rows:
            change = row["changes"][kind]
            if change["same_text"]:
                verdicts.say_same_text(change["figures"])
            change["quality_kept"] = (
                verdicts.quality_kept(change["figures"], margin, bound)
                if change["figures"]
                else verdicts.missing_quality(change["reason"])
            )
    for row in rows:
        parent, content = row["changes"]["parent"], metrics[row["name"]]
        row["quality_kept"] = row["changes"]["baseline"]["quality_kept"]
        row["measured_speedup"] = verdicts.measured_speedup(parent["figures"], parent["reason"])
        row["predicted_speedup"] = costs.predicted_speedup(content, metrics.get(row["parent"]), parent["reason"])
        row["device_hours_per_million"] = costs.device_hours(content, on_gpus)
        row["cost_per_million"] = costs.cost_per_million(row["device_hours_per_million"], costs.price(settings))


def _configuration(study: dict[str, Any]) -> dict[str, Any] | None:
    """Return the study's configuration, its scenarios in their own order, which sorted keys have lost."""
    found = study.get("configuration")
    if not found:
        return None
    scenarios_of = found["scenarios"]
    return found | {"scenarios": {name: scenarios_of[name] for name in study.get("scenario_order") or scenarios_of}}


def _timed_beside(ran: list[dict[str, Any]], columns: Columns) -> dict[str, Any] | None:
    """Return the technique whose process took turns with those that ran, and whether it did so with all of them."""
    if columns.reference is None:
        return None
    return {
        "technique": columns.reference,
        "all": columns.relative([content["technique"] for content in ran]) is not None,
    }


def _gpus() -> list[dict[str, Any]]:
    """Return the GPUs that a reader can choose from, the smallest first, with what a technique may need on them."""
    found = [
        {
            "name": device.label,
            "memory_bytes": device.memory_bytes,
            "usable_bytes": device.memory_bytes * (1 - fit.HEADROOM),
        }
        for device in datasheet.devices()
    ]
    return sorted(found, key=lambda gpu: (gpu["memory_bytes"], gpu["name"]))


def _extreme(pick: Any, metrics: Metrics, key: str) -> str | None:
    """Return the earliest or latest time over every run; ISO-8601 UTC texts of one form sort by time."""
    times = [run[key] for content in metrics.values() for run in content.get("runs") or [] if run.get(key)]
    return pick(times, default=None)
