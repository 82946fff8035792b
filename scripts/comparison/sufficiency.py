"""What a study lacks to name a winner: prompts, runs, or a technique that nothing disturbed."""

from typing import Any

from scripts.metrics import resampling

MIN_RUNS = 2
"""With one run of each technique nothing is tested."""
MINOR = ("memory", "reference", "several_changes", "truncated", "unusable")
"""Flags that are no doubt about a speed."""


def lacking(rows: list[dict[str, Any]], prompts: int) -> list[dict[str, Any]]:
    """Return what is missing before one technique may be called the best; nothing where there was no choice.

    Args:
        rows: the techniques of the comparison, with their flags.
        prompts: how many prompts each was given.

    Returns:
        Each ``kind`` with what there is and what is needed: ``prompts`` (``count``, ``least``), ``runs`` (``count`` of
        the technique with the fewest, ``least``), ``flags`` (``count`` of the techniques that ran, all of them flagged,
        and the ``flags``' kinds).
    """
    ran = [row for row in rows if row["status"] == "ok"]
    if len(ran) < 2:
        return []
    found: list[dict[str, Any]] = []
    if prompts < resampling.MIN_PROMPTS:
        found.append({"kind": "prompts", "count": prompts, "least": resampling.MIN_PROMPTS})
    runs = min(row["run_count"] for row in ran)
    if runs < MIN_RUNS:
        found.append({"kind": "runs", "count": runs, "least": MIN_RUNS})
    flags = [[flag["kind"] for flag in row["flags"] or [] if flag["kind"] not in MINOR] for row in ran]
    if all(flags):
        kinds = list(dict.fromkeys(kind for own in flags for kind in own))
        found.append({"kind": "flags", "count": len(ran), "flags": kinds})
    return found


def without_winner(scenarios: list[dict[str, Any]]) -> None:
    """Take the choice out of scenarios; their scores and what techniques fail stay."""
    for scenario in scenarios:
        scenario |= {"winner": None, "runner_up": None, "changes": [], "one_device": None}
