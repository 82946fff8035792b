"""Starts the project's modules as processes from any working directory."""

import os
import sys
from pathlib import Path

from scripts.foundation import parent

ROOT = Path(__file__).resolve().parents[2]


def command(module: str, *arguments: str) -> list[str]:
    """Command that runs a module with this Python; ``-P`` keeps packages in the working directory from shadowing it."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """Environment for a child process: the project first on ``PYTHONPATH``, and the parent's process id."""
    parts = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part and part != str(ROOT)]
    # A worker does not watch Snakemake itself: its parent does, and ends the worker.
    inherited = {name: value for name, value in os.environ.items() if name != parent.RUN}
    return {**inherited, "PYTHONPATH": os.pathsep.join([str(ROOT), *parts]), parent.PARENT: str(os.getpid())}
