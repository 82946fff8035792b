"""Starting the project's own modules as processes, wherever the current folder is."""

import os
import sys
from pathlib import Path

from scripts.foundation import parent

ROOT = Path(__file__).resolve().parents[2]


def command(module: str, *arguments: str) -> list[str]:
    """What runs a module with this Python; ``-P`` keeps packages of the current folder from taking its name."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """This process's environment for one that it starts: Python finds the project first, and the parent is named."""
    parts = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part and part != str(ROOT)]
    # A worker ends with its parent, not by itself when Snakemake ends: its parent ends it in good order.
    inherited = {name: value for name, value in os.environ.items() if name != parent.RUN}
    return {**inherited, "PYTHONPATH": os.pathsep.join([str(ROOT), *parts]), parent.PARENT: str(os.getpid())}
