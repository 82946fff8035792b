"""The view of the report: everything that the template shows, as text and positions, in the order it is shown."""

from typing import Any

from scripts.report import (
    audit_view,
    beside,
    changes_view,
    decision_view,
    details,
    headlines_view,
    machine_view,
    memory_view,
    provenance_view,
    references_view,
    reproduce_view,
    results_view,
    scenarios_view,
    sweep_view,
    text,
    tradeoff_view,
    why_view,
)


def report_view(comparison: dict[str, Any]) -> dict[str, Any]:
    """Build the view of a comparison; every text in it is inert, and the template escapes it for HTML."""
    comparison = text.inert_values(comparison)
    techniques = comparison["techniques"]
    labels = {technique["name"]: technique["label"] for technique in techniques}
    return {
        "title": comparison["title"],
        "decision": decision_view.decision(comparison),
        "scenarios": scenarios_view.scenarios(comparison),
        "tradeoff": tradeoff_view.tradeoff(comparison),
        "references": references_view.references(comparison),
        "reproduce": reproduce_view.reproduce(comparison),
        "summary": _summary(comparison),
        "results": results_view.results(comparison),
        "notes": [*beside.lines(comparison), *results_view.notes(techniques)],
        "doubts": results_view.doubts(techniques),
        "changes": changes_view.tables(comparison),
        "matches": audit_view.audit(techniques, labels),
        "memory": memory_view.memory(techniques),
        "why": why_view.why(techniques),
        "failed": why_view.failed(techniques),
        "interactions": why_view.interactions(comparison, labels),
        "speculation": why_view.speculation(comparison, labels),
        "sweeps": sweep_view.sweeps(comparison),
        "provenance": provenance_view.provenance(comparison, labels),
        "headlines": headlines_view.headlines(comparison),
        "techniques": details.technique_details_all(comparison),
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
