"""Headlines' lengths in characters, technique by technique."""

from typing import Any

from scripts.report.section import Section


def characters(comparison: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return each technique's label and mean length; None where no technique has one."""
    found = [
        {"label": technique["label"], "mean": technique["figures"]["headline_characters"]["value"]}
        for technique in comparison["techniques"]
        if technique["figures"] and technique["figures"]["headline_characters"]["value"] is not None
    ]
    return found or None


SECTION = Section("characters", "Characters", 95, characters, within="techniques")
