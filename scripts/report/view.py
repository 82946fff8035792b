"""The view of the report: everything that the template shows, as text and positions, in the order it is shown."""

from typing import Any

from scripts.report import machines, text
from scripts.report.sections import sections


def report_view(comparison: dict[str, Any]) -> dict[str, Any]:
    """Build the view of a comparison; every text in it is inert, and the template escapes it for HTML.

    Returns:
        ``title``; ``summary``, the facts under it; ``sections``, those that have something to show, in their order;
        ``views``, what each of them shows, by its id.
    """
    comparison = text.inert_values(comparison)
    views = {section.id: (section, section.view(comparison)) for section in sections()}
    return {
        "title": comparison["title"],
        "summary": _summary(comparison),
        "sections": [section for section, view in views.values() if view is not None],
        "views": {name: view for name, (_, view) in views.items() if view is not None},
    }


def _summary(comparison: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the facts under the title."""
    runs = {technique["run_count"] for technique in comparison["techniques"]}
    facts = [
        ("Techniques", f"{comparison['answer']['ran']} of {len(comparison['techniques'])} ran"),
        ("Headlines", f"{comparison['dataset']['samples']:,} each"),
        ("Runs", "/".join(str(count) for count in sorted(runs)) + " each"),
        ("Machine", machines.machine_line(comparison["machine"])),
    ]
    if comparison["started_at"]:
        facts.append(("Measured", machines.time_span(comparison["started_at"], comparison["finished_at"])))
    return facts
