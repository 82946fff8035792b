"""The closing message of a workflow about failed runs."""

from typing import Any

from scripts.foundation import text

MAX_NAMED = 5


def failed_sentence(records: list[dict[str, Any]]) -> str | None:
    """Return what failed and what to do, in one sentence; None where nothing did.

    Args:
        records: the content of every run.json, load.json, profile.json and file of metrics.
    """
    reasons: dict[str, str] = {}
    for record in records:
        if record["status"] == "failed":
            reasons.setdefault(record["technique"], text.one_line(record["reason"]))
    if not reasons:
        return None
    if len(reasons) == 1:
        ((name, reason),) = reasons.items()
        return f"{name} failed: {reason.rstrip('.')}; the next call tries it again."
    count = len({record["technique"] for record in records})
    named = [f"{name} ({reason.rstrip('.')})" for name, reason in list(reasons.items())[:MAX_NAMED]]
    more = len(reasons) - len(named)
    others = f"; and {more} more" if more else ""
    return f"{len(reasons)} of {count} techniques failed: {'; '.join(named)}{others}; the next call tries them again."
