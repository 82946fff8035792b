"""Checks that a study's numbers are consistent: contradictory limits, more rows than available."""

from __future__ import annotations

from typing import Any

from scripts.dataset import settings as dataset_settings
from scripts.foundation.errors import StudyError
from scripts.models import sources
from scripts.study.techniques import Technique

MAX_RUNS = 10_000


def check(config: dict[str, Any], techniques: list[Technique]) -> None:
    """Check a configuration that satisfies the schema.

    Raises:
        StudyError: two contradictory numbers; the sentence names the keys.
    """
    for key, repeats in (("measurement", config["measurement"]["repeats"]), ("load", config["load"]["repeats"] or 0)):
        if (runs := repeats * len(techniques)) > MAX_RUNS:
            raise StudyError(
                f"{key}.repeats is {repeats}, which makes {runs:,} runs of {len(techniques)} techniques; "
                f"{MAX_RUNS:,} are the most, so lower it or select fewer techniques."
            )
    for name, scenario in config["scenarios"].items():
        bounds = (scenario or {}).get("limits") or {}
        least, most = bounds.get("min_devices"), bounds.get("max_devices")
        if least is not None and most is not None and least > most:
            raise StudyError(
                f"scenarios.{name}.limits: min_devices ({least}) is above max_devices ({most}), so that nothing meets "
                "both; change one of them, or set it to null."
            )
    _check_rows(config, techniques)


def _check_rows(config: dict[str, Any], techniques: list[Technique]) -> None:
    there, key = _training_rows(config)
    if there is None:
        return
    for asked, what in _asked(config, techniques):
        if asked > there:
            raise StudyError(f"{what}, but {key} leaves {there} training rows; change one of them.")


def _training_rows(config: dict[str, Any]) -> tuple[int | None, str]:
    """Maximum number of training rows, None if unknown before the data is read, and the key that sets it."""
    found = dataset_settings.read(config["dataset"])
    rows = found.options.split_rows().get("train_rows")
    if rows is not None:
        return rows, f"dataset.{found.source}.train_rows ({rows})"
    share = found.evaluation_share
    return (0 if share == 1 else None), f"dataset.evaluation_share ({share})"


def _asked(config: dict[str, Any], techniques: list[Technique]) -> list[tuple[int, str]]:
    """Training rows that each part of the study needs, with the clause that says so."""
    shots = config["generation"]["shots"]
    asked = [(shots, f"generation.shots is {shots}")]
    for technique in techniques:
        rows = technique.calibration_rows
        asked.append((rows, f"techniques.{technique.name}.pruning.calibration is {rows}"))
        for model in filter(None, (technique.model, technique.draft)):
            source = config["models"][model]["source"]
            needed = sources.find(source).training_rows
            asked.append((needed, f"models.{model}.source is {source}, which learns from training rows"))
    return asked
