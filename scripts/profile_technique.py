"""Profile a few samples of one technique, apart from the timed runs: an operator table and a trace for Perfetto."""

from __future__ import annotations

import argparse
import gzip
import logging
from pathlib import Path
from typing import Any

from scripts import generate
from scripts.foundation import entry, failures, files, locks, request_file
from scripts.inference import launch, machine

logger = logging.getLogger(__name__)


def main() -> None:
    """Parse the arguments, profile, write."""
    parser = generate.argument_parser(__doc__)
    parser.add_argument("--samples", type=int, required=True, help="how many samples to profile")
    parser.add_argument("--output", type=Path, required=True, help="directory for table, trace and profile.json")
    arguments = request_file.parse(parser)
    failures.end_on_signals()
    with locks.exclusive(arguments.output):
        _write(arguments)


def _write(arguments: argparse.Namespace) -> None:
    arguments.output.mkdir(parents=True, exist_ok=True)
    outcome = profile(arguments)
    if outcome["status"] == failures.FAILED:
        failures.note(arguments.output, outcome["reason"])
    if outcome["status"] != "ok":
        logger.warning("%s: %s: %s", arguments.technique, outcome["status"], outcome["reason"])
        # The workflow wants its files; what they lack is said in profile.json.
        files.write_text(arguments.output / "operators.csv", "")
        (arguments.output / "trace.json.gz").write_bytes(gzip.compress(b"{}", mtime=0))
    files.write_json(arguments.output / "profile.json", outcome)


def profile(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the technique with the profiler on; returns the content of profile.json."""
    request, devices = generate.prepare(arguments)
    request |= {"profile": {"samples": arguments.samples, "directory": str(arguments.output.resolve())}}
    try:
        head = launch.measure(request, devices).ranks[0]
    except Exception as error:
        head = failures.report(error)
    return {
        "technique": arguments.technique,
        "status": head["status"],
        "reason": failures.with_log(head, arguments.log),
        "settings": arguments.settings,
        "profile": head.get("profile"),
        "machine": machine.describe(),
        "versions": machine.versions(),
    }


if __name__ == "__main__":
    entry.run(main)
