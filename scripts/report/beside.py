"""What the report says of the reference that took turns with the techniques: in which units they were compared."""

from typing import Any


def lines(comparison: dict[str, Any]) -> list[str]:
    """Return why a change of time can differ from the ratio of two times in the table; nothing without a reference."""
    beside = comparison.get("timed_beside")
    if not beside:
        return []
    labels = {technique["name"]: technique["label"] for technique in comparison["techniques"]}
    label = labels.get(beside["technique"], beside["technique"])
    if beside["all"]:
        what = "changes of speed, scores, fronts and which technique is the fastest are in units of its time"
        rest = ""
    else:
        what = "changes of speed between techniques that had it beside them are in units of its time"
        rest = " As not all had it, scores, fronts and which technique is the fastest go by the times as measured."
    return [
        f"A second process, of {label}, took turns with each technique: {what}, which leaves out the machine's drift. "
        f"The times in the table hold that drift, so the ratio of two of them can be another one.{rest}"
    ]
