"""How the report is opened on this machine."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def sentence(report: Path) -> str:
    """Where a report is, and what opens it: a command, or the advice to copy it where there is a browser."""
    path = report.resolve()
    if sys.platform == "darwin":
        how = f"open it with: open {shlex.quote(str(path))}"
    elif (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) and shutil.which("xdg-open"):
        how = f"open it with: xdg-open {shlex.quote(str(path))}"
    else:
        how = "there is no display here, so copy the file to where a browser is; it needs nothing else"
    return f"The report is {path}; {how}"
