"""Reads a comparison's inputs and checks that their figures are comparable."""

import json
from pathlib import Path
from typing import Any

from scripts.foundation import files
from scripts.foundation.errors import StudyError
from scripts.metrics import machines

Metrics = dict[str, dict[str, Any]]


def read_study(given: str | dict[str, Any]) -> dict[str, Any]:
    """Check the study: title, baseline, prompt, examples and the techniques in report order.

    Args:
        given: the study, or its JSON text.

    Raises:
        StudyError: it is not JSON, or lacks what a comparison needs.
    """
    try:
        study = json.loads(given) if isinstance(given, str) else given
    except json.JSONDecodeError as error:
        raise StudyError(f"--study is not JSON ({error}); pass the study as one JSON object.") from None
    if not isinstance(study, dict) or not isinstance(study.get("techniques"), list) or not study["techniques"]:
        raise StudyError("--study has no list of techniques; pass the study as one JSON object.")
    names = [technique.get("name") for technique in study["techniques"]]
    if None in names or len(set(names)) != len(names):
        raise StudyError("--study: every technique needs a name of its own; correct the list of techniques.")
    return study


def read_metrics(paths: list[str], study: dict[str, Any], dataset: list[dict[str, Any]]) -> Metrics:
    """Read the metrics files, one a technique of the study.

    Raises:
        StudyError: a technique has none or two, a file is of a technique that is not in the study, its samples are not
            those of the dataset, or runs of different machines, GPUs or library versions are among them.
    """
    names = [technique["name"] for technique in study["techniques"]]
    ids = [row["id"] for row in dataset]
    metrics: Metrics = {}
    for path in paths:
        content = files.read_json(path)
        name = content.get("technique") if isinstance(content, dict) else None
        if name not in names:
            raise StudyError(f"{path} is of the technique {name!r}, not one of the study; pass only its own files.")
        if name in metrics:
            raise StudyError(f"{path}: there is a metrics file of {name!r} already; pass one a technique.")
        _check_samples(path, content, ids)
        metrics[name] = content
    absent = [name for name in names if name not in metrics]
    if absent:
        raise StudyError(f"no metrics file was given for {', '.join(absent)}; score these techniques first.")
    _check_machines({name: metrics[name] for name in names})
    return metrics


def _check_samples(path: str | Path, content: dict[str, Any], ids: list[str]) -> None:
    if "figures" not in content or "status" not in content:
        raise StudyError(f"{path}: 'figures' or 'status' is missing; score the technique again.")
    if content["status"] == "ok" and (content.get("samples") or {}).get("id") != ids:
        raise StudyError(f"{path}: its samples are not those of the dataset; score the technique again.")


def _check_machines(metrics: Metrics) -> None:
    """Refuse figures from different machines: the first technique that ran sets what the others must match."""
    ran = [name for name, content in metrics.items() if content["status"] == "ok"]
    for name in ran[1:]:
        difference = machines.difference(metrics[ran[0]], metrics[name])
        if difference:
            raise StudyError(
                f"{ran[0]} and {name} were not measured under the same conditions: they differ in {difference}; "
                "delete the generations of one of them and run the study again on one machine."
            )
