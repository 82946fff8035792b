"""The end of a call that has a report: the study's answer, where the report is, and how to open it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scripts.terminal import opening

COMPARISON, REPORT = Path("results/comparison.json"), Path("results/report.html")


def of_report() -> str:
    """The answer's lines, by the stage that prints them; empty where there is no report."""
    if not (COMPARISON.is_file() and REPORT.is_file()):
        return ""
    command = [sys.executable, "-P", "-m", "scripts.answer", "--comparison", str(COMPARISON), "--report", str(REPORT)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return done.stdout.strip() if done.returncode == 0 else opening.sentence(REPORT)
