"""What headlines state that their summaries do not: numbers, dates and names, listed by prompt."""

from typing import Any

from scripts.metrics.families.faithfulness import PRECISION
from scripts.report import rows
from scripts.report.section import Section


def faithfulness(comparison: dict[str, Any]) -> dict[str, Any] | None:
    """Return the techniques with what their headlines state beyond the summaries; None where nothing was looked at.

    Returns:
        ``techniques``: each with ``name``, ``label``, ``count`` of headlines ``of`` how many, its ``note``, and
        ``rows`` with ``prompt``, ``id``, ``headline`` and ``items``. Techniques with the same headlines share an entry.
    """
    found = comparison.get("unsupported") or {}
    by_name = rows.by_name(comparison)
    together: dict[str, dict[str, Any]] = {}
    for name, listed in found.items():
        if name not in by_name:
            continue
        technique = by_name[name]
        digest = technique.get("tokens_digest") or name
        entry = {
            "name": name,
            "label": technique["label"],
            "also": [],
            "note": rows.figure(technique, PRECISION)["note"],
        }
        same = together.setdefault(digest, entry | listed)
        if same["name"] != name:
            same["also"].append(technique["label"])
    return {"techniques": list(together.values())} if together else None


SECTION = Section("faithfulness", "Numbers, dates and names", 116, faithfulness, within="headlines")
