"""The view of the report: everything that the template shows, as text and positions, in the order it is shown."""

from typing import Any

from scripts.report import (
    answer,
    audit_view,
    changes_view,
    details,
    machine_view,
    memory_view,
    provenance_view,
    results_view,
    rows,
    sweep_view,
    text,
    why_view,
)


def report_view(comparison: dict[str, Any]) -> dict[str, Any]:
    """Build the view of a comparison; every text in it is inert, and the template escapes it for HTML."""
    comparison = text.inert_values(comparison)
    techniques = comparison["techniques"]
    labels = {technique["name"]: technique["label"] for technique in techniques}
    return {
        "title": comparison["title"],
        "answer": answer.sentences(comparison),
        "summary": _summary(comparison),
        "results": results_view.results(comparison),
        "notes": results_view.notes(techniques),
        "doubts": results_view.doubts(techniques),
        "changes": changes_view.tables(comparison),
        "plots_left_out": _left_out(comparison),
        "matches": audit_view.audit(techniques, labels),
        "memory": memory_view.memory(techniques),
        "why": why_view.why(techniques),
        "interactions": why_view.interactions(comparison, labels),
        "speculation": why_view.speculation(comparison, labels),
        "sweeps": sweep_view.sweeps(comparison),
        "provenance": provenance_view.provenance(comparison, labels),
        "examples": [_example(example, labels) for example in comparison["examples"]],
        "techniques": [details.technique_details(technique, labels) for technique in techniques],
        "conditions": machine_view.conditions(comparison),
    }


def _summary(comparison: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the facts under the title."""
    runs = {technique["run_count"] for technique in comparison["techniques"]}
    facts = [
        ("Techniques", f"{comparison['answer']['ran']} of {len(comparison['techniques'])} ran"),
        ("Headlines", f"{comparison['dataset']['samples']:,} each"),
        ("Runs", "/".join(str(count) for count in sorted(runs)) + " each"),
        ("Machine", machine_view.machine_line(comparison["machine"])),
    ]
    if comparison["started_at"]:
        facts.append(("Measured", machine_view.time_span(comparison["started_at"], comparison["finished_at"])))
    return facts


def _left_out(comparison: dict[str, Any]) -> list[str]:
    """Return the techniques that the plots don't show, each with the reason."""
    lines = []
    for technique in comparison["techniques"]:
        if technique["status"] != "ok":
            lines.append(f"{technique['label']} ({rows.STATUS[technique['status']]})")
        elif comparison["answer"]["quality_measured"] and not technique["quality_measured"]:
            lines.append(f"{technique['label']} (quality not measured)")
    return lines


def _example(example: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    """Return one example; techniques that wrote the same headline stand together."""
    groups: dict[str, list[str]] = {}
    for name, headline in example["headlines"].items():
        groups.setdefault(headline, []).append(labels[name])
    return {
        "id": example["id"],
        "category": example["category"],
        "summary": example["summary"],
        "reference": example["reference"],
        "headlines": [
            {"text": headline, "techniques": names, "exact": headline == example["reference"]}
            for headline, names in groups.items()
        ],
    }
