"""What a finished job's record says where there are no figures: a job that knows why it can't run ends well."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from scripts.foundation import failures, files, text

DATA = "manifest.json"
RECORDS = ("run.json", "load.json", "profile.json")


def of(outputs: Iterable[str]) -> str | None:
    """Status and reason of the record among a job's outputs; None for a good one, or where there is none.

    Of the data set, its warning, if there is one.
    """
    for path in map(Path, outputs):
        if path.name == DATA:
            return _warning(path)
        if path.name not in RECORDS and path.parent.name != "metrics":
            continue
        try:
            record = files.read_json(path)
            status, reason = record["status"], record["reason"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        # Why a technique has no figures, its runs have said; only what is wrong with their files is not told before.
        if status != "ok" and (path.name in RECORDS or not record.get("runs")):
            return text.one_line(failures.told(str(status), reason and str(reason)).rstrip("."))
    return None


def _warning(path: Path) -> str | None:
    try:
        said = files.read_json(path).get("warning")
    except (OSError, ValueError, AttributeError):
        return None
    return text.one_line(f"warning: {said}") if said else None
