"""The verdict on a technique's quality, as every part of the report shows it."""

from typing import Any

from scripts.report import columns


def shown(change: dict[str, Any]) -> dict[str, str]:
    """Return the verdict with its tone and its reason.

    Args:
        change: a technique's changes against its parent or the baseline; ``quality_kept`` of them has decided.
    """
    kept = change["quality_kept"]
    return {"verdict": kept["verdict"] or "", "tone": columns.tone(kept["verdict"]), "reason": kept["reason"]}
