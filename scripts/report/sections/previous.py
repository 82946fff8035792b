"""What changed since the previous study that the configuration names, and what else differs between the two."""

from typing import Any

from scripts.report.section import Section
from scripts.report.studies.view import view


def previous(comparison: dict[str, Any]) -> dict[str, Any] | None:
    """Return the comparison with the previous study; None where the study names none."""
    found = comparison.get("previous")
    return view(found) if found else None


SECTION = Section("previous", "Since the previous study", 55, previous, within="results", folded=False, short=previous)
