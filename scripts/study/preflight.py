"""Checks a study before Snakemake reads it; called by profiles/default/config.yaml.

Snakemake reads the files of ``--configfile`` before the workflow, blocks on a named pipe, and names neither file
nor line for most mistakes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.foundation.wording import one_line, shown
from scripts.study import configuration, layers


def check(files: Sequence[Path], options: Sequence[str], replace: bool) -> None:
    """Check the form of the study named by Snakemake's options; exit with one sentence if it is wrong."""
    study = None
    try:
        study = layers.read(files, options, replace)
        if not _use_plugins(study.config):
            return
        configuration.check_form(study.config)
    except StudyError as error:
        sys.exit(f"error: {study.explain(error) if study else one_line(str(error))}")
    except Exception:
        # The workflow reads the study again and shows the traceback; here Snakemake would print its usage.
        return


def check_folder(directory: str | Path | None) -> None:
    """Check where the study is to run; exit with one sentence if that is a file. A missing folder is made."""
    if directory is not None and os.path.exists(directory) and not os.path.isdir(directory):
        sys.exit(f"error: --directory {shown(str(directory))[1:-1]} is no folder; name one, or leave it out.")


def _use_plugins(config: dict[str, Any]) -> bool:
    """Whether the plugins are found here; the workflow, which may run in another folder, reports what is wrong."""
    try:
        plugins.use(config.get("plugins") or [])
    except StudyError:
        return False
    return True
