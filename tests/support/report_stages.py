"""Runs the stages that end in the report, as the workflow does: compare, plot, render, each in a process of its own."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def make_report(written: dict[str, Any], folder: Path) -> dict[str, float]:
    """Write comparison, plots, report.html and report.md of a synthetic study into ``folder``.

    Args:
        written: what ``synthetic_study.write_study`` returned.
        folder: where the files go, under the names that they have in results/.

    Returns:
        The seconds that each stage took, from the start of its process to its end.
    """
    study = json.dumps(written["study"])
    comparison, table = folder / "comparison.json", folder / "comparison.csv"
    inputs = ["--dataset", written["dataset"], "--dataset-manifest", written["manifest"], "--metrics"]
    outputs = ["--output", comparison, "--table", table]
    seconds = {"compare": _run("compare", "--study", study, *inputs, *written["metrics"], *outputs)}
    seconds["plot"] = _run("plot", "--comparison", comparison, "--output", folder / "plots")
    plots = sorted((folder / "plots").glob("*.svg"))
    pages = ["--output", folder / "report.html", "--markdown", folder / "report.md"]
    seconds["render"] = _run("render", "--comparison", comparison, "--table", table, "--plots", *plots, *pages)
    return seconds


def _run(stage: str, *arguments: str | Path) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", f"scripts.{stage}", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if done.returncode:
        raise RuntimeError(f"{stage} failed:\n{done.stderr}")
    return time.perf_counter() - began
