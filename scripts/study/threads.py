"""Checks that no setting asks for more CPU threads than this machine has cores: each would wait for the others."""

from __future__ import annotations

from typing import Any

from scripts.foundation.errors import StudyError
from scripts.inference import machine

ELSEWHERE = "Where the runs are made on other machines, give these a name in measurement.machine."


def check(config: dict[str, Any], models: list[str]) -> None:
    """Check the threads of runs, and of models that are trained.

    A study whose machines have a name may be started on another one than it runs on, and so is not held to this one.

    Args:
        config: of the study, in the form of the schema.
        models: names of those that it uses.

    Raises:
        StudyError: there are fewer cores; the sentence names the key.
    """
    if config["measurement"]["machine"] != "auto":
        return
    cores = machine.usable_cores()
    for key, asked, instead in _asked(config, models):
        if asked > cores:
            has = f"{cores} core{'s' if cores > 1 else ''}"
            raise StudyError(
                f"{key} is {asked}, and this machine has {has} to use; set it to {cores} or less{instead}. {ELSEWHERE}"
            )


def _asked(config: dict[str, Any], models: list[str]) -> list[tuple[str, int, str]]:
    """Each setting with its number, and what may be set in place of one."""
    threads = config["measurement"]["threads"]
    asked = [("measurement.threads", threads, ", to 0 for all of them, or to auto")] if type(threads) is int else []
    for name in models:
        model = config["models"][name]
        if model["source"] == "train":
            asked.append((f"models.{name}.train.threads", model["train"]["threads"], ""))
    return asked
