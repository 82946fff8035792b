"""Prepares the environment that the workflow's jobs inherit."""

import os
import sys
from pathlib import Path

from scripts.foundation import parent


def prepare(root: Path) -> None:
    """Make jobs use Snakemake's Python, find the project from any folder, and end with Snakemake."""
    os.environ[parent.RUN] = str(os.getpid())
    _prepend("PATH", Path(sys.executable).parent)
    _prepend("PYTHONPATH", root)


def _prepend(variable: str, directory: Path) -> None:
    parts = [part for part in os.environ.get(variable, "").split(os.pathsep) if part]
    if str(directory) not in parts[:1]:
        os.environ[variable] = os.pathsep.join([str(directory), *parts])


def cores_of_this_job() -> int | None:
    """How many cores Slurm gave the job that this process belongs to; None outside one."""
    given = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return int(given) if given.isdigit() else None
