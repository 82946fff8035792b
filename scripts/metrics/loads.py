"""Reading of a technique's load runs, as ``scripts.measure_load`` wrote them."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.foundation import files
from scripts.foundation.errors import StudyError
from scripts.metrics import agreement
from scripts.metrics.answers import reader
from scripts.metrics.answers.reader import How
from scripts.metrics.runs import STATUSES
from scripts.metrics.samples import Sample

KEPT = ("run", "status", "reason", "load", "server", "levels", "capacity", "agreement", "memory", "generator",
        "machine", "started_at", "finished_at")  # fmt: skip


def read_loads(
    paths: Sequence[str | Path], technique: str, alone: Sequence[Sample] = (), answer: How = reader.AUTO
) -> list[dict[str, Any]]:
    """Read the load.json of each load run; its answers, in requests.jsonl, are held against those given alone.

    Args:
        paths: the files, run 1 first.
        technique: the name that each must carry.
        alone: samples of a run whose requests were sent one at a time.
        answer: the study's ``generation.answer``.

    Raises:
        StudyError: a file is missing, damaged or of another technique, or the runs were asked for different loads.
    """
    found = [_read(Path(path), technique, alone, answer) for path in paths]
    for path, load in zip(paths[1:], found[1:], strict=True):
        if load.get("load") != found[0].get("load"):
            raise StudyError(f"{path} and {paths[0]} were made with other settings of load; run the technique again.")
    return found


def _read(path: Path, technique: str, alone: Sequence[Sample], answer: How) -> dict[str, Any]:
    load = files.read_json(path)
    if not isinstance(load, dict) or load.get("status") not in STATUSES:
        raise StudyError(f"{path}: 'status' is none of {', '.join(STATUSES)}; delete the file and run again.")
    if load.get("technique") != technique:
        raise StudyError(f"{path} is a run of {load.get('technique')!r}, not of {technique!r}; pass the right file.")
    if load["status"] == "ok":
        _check(path, load)
    kept = {key: load.get(key) for key in KEPT}
    if load["status"] == "ok":
        kept["agreement"] = agreement.agreement(alone, files.read_json_lines(path.with_name("requests.jsonl")), answer)
    return kept


def _check(path: Path, load: dict[str, Any]) -> None:
    levels = load.get("levels")
    if not isinstance(levels, list) or not levels or not all(isinstance(level, dict) for level in levels):
        raise StudyError(f"{path}: 'levels' is missing from a run that is ok; delete the file and run again.")
    capacity = load.get("capacity")
    per_s = capacity.get("per_s") if isinstance(capacity, dict) else None
    good = per_s is None or (isinstance(per_s, int | float) and math.isfinite(per_s) and per_s > 0)
    if (capacity is not None and not isinstance(capacity, dict)) or not good:
        raise StudyError(f"{path}: 'capacity' holds no rate; delete the file and run again.")


def summary(loads: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return what is passed on of the load runs; None where there are none.

    ``status`` and ``reason`` are those of the run that failed, if any did: without all of them there is no capacity.
    """
    if not loads:
        return None
    failed = next((load for load in loads if load["status"] != "ok"), None)
    return {
        "status": failed["status"] if failed else "ok",
        "reason": failed["reason"] if failed else None,
        "settings": loads[0]["load"],
        "runs": loads,
    }
