"""What a server was asked for, and what was read back of it; what can't be proved is said."""

from __future__ import annotations

from typing import Any

from scripts.foundation.wording import one_line, shown
from scripts.serving import answers, metrics, placeholders
from scripts.serving.errors import ServerError
from scripts.serving.launch import Running


class ContradictedError(ServerError):
    """What a server says of itself contradicts what it was asked for."""


def collect(
    running: Running, before: list[metrics.Sample] | None, after: list[metrics.Sample] | None,
    usages: list[dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """Read back all that the preset can prove.

    Args:
        running: the server, asked by now.
        before, after: its counters around the timed samples; None where it has none.
        usages: the ``usage`` of each answer.

    Returns:
        ``proved``: by name, ``asked`` and ``read``; ``unproved``: ``name``, ``asked`` and ``reason`` of each other.

    Raises:
        ContradictedError: something was read that is not what was asked for.
    """
    proved: dict[str, dict[str, str]] = {}
    unproved: list[dict[str, str]] = []
    for entry in placeholders.fill(running.spec.preset.get("proves", []), running.values):
        if entry.get("when") not in (None, running.values.get("decoding")):
            continue
        name, asked = one_line(str(entry["name"])), one_line(str(entry["asked"]))
        try:
            read, reason = _read(entry, running, before, after, usages)
        except ContradictedError as error:
            if running.started_here:
                raise
            read, reason = None, str(error).rstrip(".")  # the endpoint was not asked for it
        if read is None:
            unproved.append({"name": name, "asked": asked, "reason": reason})
        else:
            proved[name] = {"asked": asked, "read": read}
    if not running.started_here:
        reason = "the endpoint was started elsewhere"
        unproved.append({"name": "how it was started", "asked": "nothing", "reason": reason})
    return {"proved": proved, "unproved": unproved}


def _read(
    entry: dict[str, Any], running: Running, before: list[metrics.Sample] | None, after: list[metrics.Sample] | None,
    usages: list[dict[str, Any]],
) -> tuple[str | None, str]:  # fmt: skip
    """What was read as text, or None and the reason."""
    if "metric" in entry:
        grown = None if before is None or after is None else metrics.increase(before, after, entry["metric"])
        if grown is None:
            return None, f"its counters do not have {entry['metric']}"
        _hold(
            entry, running, grown, entry.get("increase", 0), f"{entry['metric']} grew by {{}} while samples were timed"
        )
        return f"{entry['metric']} grew by {grown:g} while samples were timed", ""
    if "usage" in entry:
        found = [answers.field(usage, entry["usage"]) for usage in usages]
        if not found or None in found:
            return None, f"its answers' usage lacks {entry['usage']}"
        for value in found:
            _hold(entry, running, value, entry.get("value"), f"an answer's {entry['usage']} is {{}}")
        return f"{entry['usage']} is {shown(found[0])} in all {len(found)} answers", ""
    if "path" in entry and "field" in entry:
        try:
            value = answers.field(answers.read_json(running.url(entry["path"]), running.api.headers), entry["field"])
        except ServerError as error:
            return None, str(error).rstrip(".")
        if value is None:
            return None, f"{entry['path']} has no {entry['field']}"
        _hold(entry, running, value, entry.get("value"), f"{entry['path']} says that {entry['field']} is {{}}")
        return f"{entry['path']}: {entry['field']} is {shown(value)}", ""
    return None, one_line(str(entry.get("without") or "the preset names no way to read it"))


def _hold(entry: dict[str, Any], running: Running, value: Any, wanted: Any, said: str) -> None:
    if value != wanted:
        raise ContradictedError(
            f"{running.spec.label} was asked for {shown(entry['name'])[1:-1]} ({shown(entry['asked'])[1:-1]}), but "
            f"{said.format(shown(value))} and not {shown(wanted)}."
        )


def reserved_tokens(running: Running, samples: list[metrics.Sample] | None) -> int | None:
    """Token positions that its cache reserves ahead, whether they are used or not; None where it does not say."""
    asked = (running.spec.preset.get("metrics") or {}).get("reserved_tokens")
    if not asked or samples is None:
        return None
    return metrics.product_of_labels(samples, asked["metric"], asked.get("labels", []))
