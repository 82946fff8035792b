"""What planning a large study costs: a dry run before anything ran, and calls that find nothing to be done.

    python -m tests.performance.many_techniques

The study is swept to the number of techniques asked for, three runs each. Its files are empty and Snakemake's records
of them real (``snakemake --touch``, minutes, not counted), so that every figure is of a whole process: import, plan,
comparison with the records, and what is said at the end.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.workflow.project import Project, clean_environment

MEGABYTE = 1_000_000
# What each call must stay under: seconds, and bytes of memory at most.
TARGETS = {"dry run, nothing made yet": 15.0, "dry run, nothing to be done": 15.0, "call, nothing to be done": 10.0}
MOST_BYTES = 1000 * MEGABYTE


@dataclass(frozen=True)
class Call:
    """What one call of Snakemake took."""

    seconds: float
    peak_bytes: int


def study(techniques: int) -> dict[str, Any]:
    """Three sweeps over the amount of pruning, beside the three techniques that they start from."""
    each = max(1, (techniques - 3) // 3)
    amounts = [round(0.9 * (position + 1) / each, 4) for position in range(each)]
    return {
        "title": "A study of many techniques",
        "select": ["baseline", "kv_cache", "target_only"],
        "sweeps": {
            name: {"technique": name, "facet": "pruning.amount", "values": amounts}
            for name in ("pruned", "pruned_wanda", "pruned_structured")
        },
    }


def measured(project: Project, *arguments: str) -> Call:
    """Run Snakemake in a process of its own, and read what it took of the system.

    Raises:
        RuntimeError: it fails, or there was something to be done.
    """
    command = project.command(*arguments)
    output = project.root / "call.log"
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        os.chdir(project.root)
        written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(written, 1)
        os.dup2(written, 2)
        os.execve(command[0], command, clean_environment())
    _, status, used = os.wait4(child, 0)
    seconds = time.perf_counter() - began
    said = output.read_text(encoding="utf-8")
    if status or ("Nothing to be done" not in said and "steps would run" not in said):
        raise RuntimeError(f"snakemake {' '.join(arguments)}:\n{said[-2000:]}")
    return Call(seconds, used.ru_maxrss * 1024)


def main() -> None:
    """Print a table of medians; exit with status 1 if one is over its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--techniques", type=int, default=300)
    parser.add_argument("--calls", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        project = Project.create(Path(temporary) / "project")
        project.study = study(arguments.techniques)
        calls = {"dry run, nothing made yet": [measured(project, "--dry-run") for _ in range(arguments.calls)]}
        make_as_if_run(project)
        for name, more in (("dry run, nothing to be done", ["--dry-run"]), ("call, nothing to be done", [])):
            calls[name] = [measured(project, *more) for _ in range(arguments.calls)]
    print(f"{arguments.techniques} techniques x 3 runs, n = {arguments.calls} calls of each\n")
    print("| what | median | lowest to highest | target | peak memory |\n|---|---:|---:|---:|---:|")
    over = False
    for name, made in calls.items():
        seconds, peak = [each.seconds for each in made], max(each.peak_bytes for each in made)
        over |= statistics.median(seconds) >= TARGETS[name] or peak >= MOST_BYTES
        print(
            f"| {name} | {statistics.median(seconds):.2f} s | {min(seconds):.2f} to {max(seconds):.2f} s "
            f"| < {TARGETS[name]:g} s | {peak / MEGABYTE:.0f} MB |"
        )
    sys.exit(over)


def make_as_if_run(project: Project) -> None:
    """Make every file of the study, and let Snakemake record what each depends on."""
    for job in project.dry_run().jobs:
        for name in job["output"]:
            file = project.root / str(name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("{}", encoding="utf-8")
    # Its end reads the report, which is empty here: what counts is that nothing is left to be done.
    project.snakemake("--touch", "--forceall", "--quiet", "all", timeout=3600)


if __name__ == "__main__":
    main()
