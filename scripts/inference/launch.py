"""The processes of a run: lease their devices, start one worker a rank, wait for all, and end them.

Where the reference beside a technique may have taken the memory that it lacked, the run is made again without it.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.foundation import failures, files, leftovers, modules
from scripts.inference import conditions, leases, neighbours, pinning, supervision

Samples = dict[str, list[dict[str, Any]]]
NO_SAMPLES: Samples = {"natural": [], "fixed": []}


@dataclass
class Outcome:
    """What a process group left behind.

    Attributes:
        ranks: what each rank reports; of one that could not run, that alone.
        samples: lines by mode, ``natural`` and ``fixed``.
        leased: unique ids of the GPUs that were leased.
        conditions: what else the machine was doing, ``before``, ``during`` and ``after``.
    """

    ranks: list[dict[str, Any]]
    samples: Samples
    leased: list[str]
    conditions: dict[str, Any] | None = None


def measure(request: dict[str, Any], devices: list[str]) -> Outcome:
    """Lease devices and run the group."""
    processes = request["processes"]
    if devices and (reason := leases.lacking(processes, devices)):
        return Outcome([{"status": "unsupported", "reason": reason}], {"natural": [], "fixed": []}, [])
    with neighbours.beside(alone=bool(request.get("alone"))):
        if not devices:
            with pinning.reserved(processes * request["threads_per_process"]) as cpus:
                return _watched(request | {"cpus": cpus}, [])
        with leases.lease(devices, processes) as leased:
            return _watched(request, leased)


NO_ROOM = "Memory ran out with the reference beside the technique."


def _watched(request: dict[str, Any], leased: list[str]) -> Outcome:
    """Run the group while what else the machine does is watched."""
    before = conditions.state(leased)
    watch = conditions.Monitor(gpu_uuids=leased)
    watch.start()
    try:
        visible = {"CUDA_VISIBLE_DEVICES": ",".join(leased)}
        ranks, samples = run_group(request | {"leased": leased}, visible)
        if ranks[0].get("retry_without_reference"):
            # It may have been the reference that took the memory, or it failed itself.
            why = ranks[0]["retry_without_reference"]
            alone = request["reference"] | {"reason": why if isinstance(why, str) else NO_ROOM}
            ranks, samples = run_group(request | {"leased": leased, "reference": alone}, visible)
    finally:
        during = watch.stop()
    during |= {"cpus": request.get("cpus")}
    return Outcome(ranks, samples, leased, {"before": before, "during": during, "after": conditions.state(leased)})


def run_group(request: dict[str, Any], environment: dict[str, str]) -> tuple[list[dict[str, Any]], Samples]:
    """Start one worker a rank, wait for all; the first that fails or hangs ends the others."""
    # One worker asks a server, on however many GPUs that runs.
    processes = 1 if request.get("served") else request["processes"]
    leftovers.sweep(SCRATCH)
    scratch = Path(tempfile.mkdtemp(prefix=SCRATCH))
    held = leftovers.hold(scratch)
    try:
        files.write_json(scratch / "request.json", request | {"rendezvous": str(scratch / "rendezvous")})
        workers = [_start_worker(scratch, rank, processes, environment) for rank in range(processes)]
        try:
            written = failures.written_since(request.get("log"))
            ranks = supervision.wait(workers, scratch, request.get("time_limit_s"), written)
        finally:
            supervision.end(workers)
            if request.get("mark"):
                # By name: only runs of servers depend on it. No lease is given back while a server is still ending.
                importlib.import_module("scripts.serving.guard").end_all(request["mark"])
        return ranks, {mode: _lines(scratch / name, ranks[0]["status"]) for mode, name in MODES.items()}
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(held)


SCRATCH = "udaciheadline-run-"
MODES = {"natural": "samples.jsonl", "fixed": "fixed.jsonl"}


def _lines(path: Path, status: str) -> list[dict[str, Any]]:
    return files.read_json_lines(path) if status == "ok" and path.exists() else []


def _start_worker(scratch: Path, rank: int, processes: int, environment: dict[str, str]) -> subprocess.Popen:
    command = modules.command("scripts.inference.worker", "--request", str(scratch / "request.json"),
                              "--rank", str(rank), "--scratch", str(scratch))  # fmt: skip
    place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)} if processes > 1 else {}
    # Nothing may be fetched or reported while a technique is timed.
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false",
               "KINETO_LOG_LEVEL": "5"}  # fmt: skip
    # A worker ends when its standard input does, and so with this process, however that ends.
    # In a group of its own, it ends with all that it started.
    return subprocess.Popen(
        command, env=modules.environment() | environment | offline | place,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0,
    )  # fmt: skip
