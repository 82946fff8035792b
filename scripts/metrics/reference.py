"""The reference process of a technique's runs: its readings per sample, or why there are none."""

from typing import Any

from scripts.foundation.errors import StudyError
from scripts.metrics.runs import Run

COLUMNS = {"run_reference_s": False, "fixed_run_reference_s": True}


def described(runs: list[Run]) -> dict[str, Any]:
    """Return which reference all runs had, or that of the first run without one, with the reason.

    Raises:
        StudyError: two runs had different references, or a run's samples contradict what it says.
    """
    found = [_checked(run) for run in runs]
    on = [one for one in found if one["status"] == "on"]
    if len({one["digest"] for one in on}) > 1:
        raise StudyError(f"{runs[0].path.parent}: its runs had different references; run the technique again.")
    return next((one for one in found if one["status"] != "on"), found[0])


def columns(runs: list[Run]) -> dict[str, list[list[float]]]:
    """Return the readings by run and prompt in seconds, of each mode in which every run has them."""
    found = {key: readings(runs, fixed) for key, fixed in COLUMNS.items()}
    return {key: values for key, values in found.items() if values is not None}


def readings(runs: list[Run], fixed: bool) -> list[list[float]] | None:
    """Return the readings of a mode in seconds by run and prompt, means over its draws; None where one is missing."""
    found = [[[sample.reference_s for sample in samples] for samples in run.passes(fixed)] for run in runs]
    if not all(row and None not in row for run in found for row in run):
        return None
    return [run[0] if len(run) == 1 else [sum(each) / len(each) for each in zip(*run, strict=True)] for run in found]


def flag(runs: list[Run]) -> dict[str, str] | None:
    """Return the flag of a technique that ran without the reference that the study asks for."""
    for number, run in enumerate(runs, start=1):
        one = _checked(run)
        if one["status"] == "off" and one["technique"]:
            which = f"Run {run.info.get('run') or number} of {len(runs)}"
            return {"kind": "reference", "message": f"{which} had no reference beside it: {one['reason']}"}
    return None


def _checked(run: Run) -> dict[str, Any]:
    """Return status, technique, digest and reason of one run's reference."""
    said = run.info.get("reference") or {"status": "off", "reason": "The run was made before there were references."}
    if not isinstance(said, dict) or said.get("status") not in ("on", "off"):
        raise StudyError(f"{run.path}: 'reference' in run.json is not on or off; delete the run and make it again.")
    has = [
        sample.reference_s is not None
        for sample in (*(each for samples in run.passes() for each in samples), *run.fixed)
    ]
    if any(has) != (said["status"] == "on") or (any(has) and not all(has)):
        raise StudyError(
            f"{run.path}: 'reference' is {said['status']} in run.json and the samples say otherwise; delete the run "
            "and make it again."
        )
    return {key: said.get(key) for key in ("status", "technique", "digest", "reason")}
