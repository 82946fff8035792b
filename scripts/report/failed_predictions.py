"""Predictions that failed here, in words, with what the measured facts say of the reason."""

from typing import Any

from scripts.report.templates import told


def failures(technique: dict[str, Any], *kinds: str) -> list[str]:
    """Return a sentence for each prediction of these kinds that failed here; of all kinds where none is given."""
    found = technique.get("predictions") or []
    return [_sentence(entry) for entry in found if not entry["holds"] and (not kinds or entry["kind"] in kinds)]


def _sentence(entry: dict[str, Any]) -> str:
    facts = [told("predictions", fact["fact"], fact=fact) for fact in entry["facts"]]
    return told("predictions", "failed", entry=entry, facts=facts)
