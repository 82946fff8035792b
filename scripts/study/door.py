"""Reads a study before Snakemake does: profiles/default/config.yaml calls this before anything else is done.

Snakemake reads the files of ``--configfile`` before the workflow, waits for ever at a named pipe, and says of most
mistakes neither the file nor the line.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.foundation.wording import one_line
from scripts.study import configuration, layers


def check(files: Sequence[Path], options: Sequence[str], replace: bool) -> None:
    """Read the study that Snakemake's options name and check its form; end the program where it can't be used."""
    study = None
    try:
        study = layers.read(files, options, replace)
        if not _take_up_plugins(study.config):
            return
        configuration.check_form(study.config)
    except StudyError as error:
        sys.exit(f"error: {study.explain(error) if study else one_line(str(error))}")
    except Exception:
        # Snakemake would print its usage. The workflow reads the study again, and shows a fault of ours as one.
        return


def _take_up_plugins(config: dict[str, Any]) -> bool:
    """Whether the plugins could be taken up here: the workflow may run in another folder, and says what is wrong."""
    try:
        plugins.use(config.get("plugins") or [])
    except StudyError:
        return False
    return True
