"""What the report says of the reference that took turns with the techniques: in which units they were compared."""

from typing import Any

from scripts.report import rows
from scripts.report.templates import told


def lines(comparison: dict[str, Any]) -> list[str]:
    """Return why a change of time can differ from the ratio of two times in the table; nothing without a reference."""
    beside = comparison.get("timed_beside")
    if not beside:
        return []
    labels = rows.labels(comparison)
    return [told("doubts", "beside", label=labels.get(beside["technique"], beside["technique"]), all=beside["all"])]
