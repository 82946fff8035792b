"""The reader's own limits and weights, which the answer then follows."""

from typing import Any

from scripts.comparison import limits as bounds
from scripts.comparison.gains import CAPACITY
from scripts.report import limits, numbers
from scripts.report.section import Section

STEPS = 5
"""The most that a weight's slider goes to, unless the study itself sets a larger weight."""


def yours(comparison: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the form of limits needs; None where nothing ran."""
    return _form(comparison) if comparison["ranking"] else None


def _form(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the form: what each limits, in which unit, and why it can't be used."""
    ranking = comparison["ranking"]
    unit = limits.currency(comparison)
    titles = limits.titles(comparison)
    fields = []
    for limit in limits.LIMITS:
        if limit.key == bounds.CAPACITY and not limits.has_load(comparison):
            continue
        scale = limit.scale(ranking, unit)
        fields.append(
            {
                "key": limit.key,
                "value": limit.value,
                "title": titles[limit.key],
                "bound": "most" if limit.most else "least",
                "size": scale.size,
                "unit": scale.unit,
                "whole": limit.units == limits.COUNT,
            }
        )
    needed = [values.get("needed_bytes_per_device") for values in ranking["limit_values"].values()]
    return {
        "fields": fields,
        "currency": unit,
        "gpus": [
            {"name": gpu["name"], "memory": f"{numbers.fixed(gpu['memory_bytes'] / 2**30, 0)} GiB"}
            for gpu in comparison["gpus"]
        ],
        "gpus_missing": "" if any(value is not None for value in needed) else "What a GPU would need was not measured.",
        "weights": [
            {"key": key, "title": title, "reason": ranking["left_out"].get(key, "")}
            for key, title in limits.CRITERIA.items()
            if key != CAPACITY or limits.has_load(comparison)
        ],
        "steps": max(STEPS, *ranking["weights"].values()),
        "count": len(ranking["limit_values"]),
    }


SECTION = Section("yours", "Your limits", 16, yours, within="decision", folded=False)
