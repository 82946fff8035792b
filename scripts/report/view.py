"""The view of the report: everything that the template shows, as text and positions, in the order it is shown."""

from typing import Any

from scripts.report import text
from scripts.report.sections import sections


def report_view(comparison: dict[str, Any]) -> dict[str, Any]:
    """Build the view of a comparison; every text in it is inert, and the template escapes it for HTML.

    Returns:
        ``title``; ``sections``, those that have something to show, in their order; ``parts``, those of each section,
        by its id; ``views``, what each section and part shows, by its id.
    """
    comparison = text.inert_values(comparison)
    known = sections()
    views = {each.id: view for each in known if (view := each.view(comparison)) is not None}
    shown = [each for each in known if each.id in views]
    return {
        "title": comparison["title"],
        "sections": [each for each in shown if each.within is None],
        "parts": {each.id: [part for part in shown if part.within == each.id] for each in shown if each.within is None},
        "views": views,
    }
