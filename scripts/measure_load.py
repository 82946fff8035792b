"""One load run of one technique: it is served over HTTP, and the rate is found at which it keeps the limits."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts import generate
from scripts.foundation import entry, failures, files, locks, request_file
from scripts.foundation.errors import StudyError
from scripts.inference import conditions, leases, load_run, machine, neighbours
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.study import provenance

logger = logging.getLogger(__name__)

Records = list[dict[str, Any]]


def main() -> None:
    """Parse the arguments, run, write."""
    arguments = _arguments()
    failures.end_on_signals()
    with locks.exclusive(arguments.output):
        records: Records = []
        outcome = run(arguments, records.extend)
        arguments.output.mkdir(parents=True, exist_ok=True)
        if outcome["status"] == failures.FAILED:
            failures.note(arguments.output, outcome["reason"])
        files.write_json_lines(arguments.output / "requests.jsonl", records)
        files.write_json(arguments.output / "load.json", outcome)
    if outcome["status"] != "ok":
        logger.warning("%s under load: %s", arguments.technique, failures.told(outcome["status"], outcome["reason"]))


def _arguments() -> argparse.Namespace:
    parser = generate.argument_parser(__doc__)
    parser.add_argument("--run", type=int, required=True, help="which of the technique's load runs this is, from 1")
    parser.add_argument("--load", type=json.loads, required=True, help="arrivals, rates, limits and so on, JSON")
    parser.add_argument("--output", type=Path, required=True, help="directory for load.json and requests.jsonl")
    return request_file.parse(parser)


def run(arguments: argparse.Namespace, write: Any) -> dict[str, Any]:
    """Run once; returns load.json's content, and hands the records of requests to ``write``.

    Raises:
        StudyError: what all techniques share is at fault: the device that is asked for, models, data.
    """
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    head = {"technique": arguments.technique, "run": arguments.run, "status": "ok", "reason": None,
            "settings": arguments.settings, "load": arguments.load}  # fmt: skip
    request, devices = generate.prepare(arguments)
    found = _outcome(request, devices, arguments, write)
    return head | found | {
        "machine": machine.describe(),
        "versions": machine.versions(),
        "provenance": provenance.describe(arguments.dataset, arguments.settings),
        "started_at": started,
        "finished_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }  # fmt: skip


def _outcome(request: dict[str, Any], devices: list[str], arguments: argparse.Namespace, write: Any) -> dict[str, Any]:
    """What the load run found, or its status and reason."""
    if devices and (reason := leases.lacking(request["processes"], devices)):
        return {"status": "unsupported", "reason": reason}
    settings = arguments.load | {"seed": arguments.load["seed"] + arguments.run}
    try:
        leasing = leases.lease(devices, request["processes"]) if devices else contextlib.nullcontext([])
        with neighbours.beside(alone=request["alone"]), leasing as leased:
            if leased:
                os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(leased)
            return _watched(request | {"leased": leased}, settings, write)
    except UnsupportedError as error:
        head = {"status": "unsupported", "reason": str(error)}
    except EvidenceError as error:
        head = {"status": "invalid", "reason": str(error)}
    except Exception as error:
        head = failures.report(error)
    return {"status": head["status"], "reason": failures.with_log(head, arguments.log)}


def _watched(request: dict[str, Any], settings: dict[str, Any], write: Any) -> dict[str, Any]:
    """Run while what else the machine does is watched."""
    before = conditions.state(request["leased"])
    watch = conditions.Monitor(gpu_uuids=request["leased"])
    watch.start()
    try:
        found = load_run.run(request, settings, write)
    finally:
        during = watch.stop()
    if not found["levels"]:
        raise StudyError(found.get("stopped") or "no request was answered.")
    around = {"before": before, "during": during, "after": conditions.state(request["leased"])}
    return found | {"conditions": around, "leased_gpus": request["leased"]}


if __name__ == "__main__":
    entry.run(main)
