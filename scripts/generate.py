"""One run of one technique: lease the devices, start the process or process group, write samples.jsonl and run.json."""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.foundation import entry, failures, files, locks, request_file
from scripts.foundation.errors import StudyError
from scripts.inference import architecture, distributions, launch, leases, machine
from scripts.inference.launch import NO_SAMPLES, Outcome, Samples
from scripts.study import provenance, sources
from scripts.techniques import registry

logger = logging.getLogger(__name__)


def main() -> None:
    """Parse the arguments, run, write."""
    arguments = _arguments()
    failures.end_on_signals()
    with locks.exclusive(arguments.output):
        outcome, samples = run(arguments)
        arguments.output.mkdir(parents=True, exist_ok=True)
        try:
            _write(arguments.output, outcome, samples)
        except ValueError as error:  # a number that JSON has no word for
            nothing = _came_to_nothing(error)
            outcome = _record(arguments, outcome["started_at"], None, nothing, _described(arguments))
            _write(arguments.output, outcome, NO_SAMPLES)
    if outcome["status"] != "ok":
        logger.warning("%s: %s", arguments.technique, failures.told(outcome["status"], outcome["reason"]))


def _write(output: Path, outcome: dict[str, Any], samples: Samples) -> None:
    """Write the run's files, the record that vouches for the others last."""
    if outcome["status"] == failures.FAILED:
        failures.note(output, outcome["reason"])
    files.write_json_lines(output / "samples.jsonl", samples["natural"])
    files.write_json_lines(output / "fixed.jsonl", samples["fixed"])
    distributions.settle(output, measured=outcome["status"] == "ok" and outcome["run"] == 1)
    files.write_json(output / "run.json", outcome)


def _arguments() -> argparse.Namespace:
    parser = argument_parser(__doc__)
    parser.add_argument("--run", type=int, required=True, help="which of the technique's runs this is, from 1")
    parser.add_argument(
        "--fixed", type=json.loads, default={"new_tokens": 16, "samples": 0},
        help="the fixed-length mode, JSON: how many new tokens, over how many of the first samples (0: none)",
    )  # fmt: skip
    parser.add_argument(
        "--reference-technique", type=json.loads,
        help="what takes turns with it, JSON: 'technique' is its name and 'settings' its facets; none without it",
    )  # fmt: skip
    parser.add_argument("--reference", type=Path, help="manifest.json of the reference's model")
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="directory for samples.jsonl, fixed.jsonl, distributions.npz and run.json",
    )
    return request_file.parse(parser)


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments that say what to run, on what, and where."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--technique", required=True, help="the technique's name")
    parser.add_argument("--settings", type=json.loads, required=True, help="the technique's resolved facets, JSON")
    parser.add_argument("--generation", type=json.loads, required=True, help="prompt, shots, stop, length, JSON")
    parser.add_argument("--target", type=Path, required=True, help="manifest.json of the model that writes")
    parser.add_argument("--draft", type=Path, help="manifest.json of the draft model")
    parser.add_argument("--dataset", type=Path, required=True, help="the evaluation set, JSON lines")
    parser.add_argument("--rows", type=Path, help="training rows, for worked examples and for calibration")
    parser.add_argument("--served", type=json.loads, help="what a run is asked of an engine that is a server, JSON")
    parser.add_argument("--engine", type=Path, help="what was found in an engine's own environment, JSON")
    parser.add_argument("--warmup", type=int, default=2, help="untimed samples before the timed ones")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads a process; 0 shares out all cores")
    parser.add_argument("--chosen-threads", type=Path, help="how many of these a measurement chose, JSON")
    parser.add_argument(
        "--time-limit", type=float, default=0,
        help="seconds without a sign of life after which a process hangs; 0 derives them from the steps so far",
    )  # fmt: skip
    parser.add_argument("--log", type=Path, help="where standard error goes, named where the run fails")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to run")
    parser.add_argument(
        "--neighbours",
        choices=("some", "none"),
        default="some",
        help="whether other runs of this node may go on meanwhile",
    )
    return parser


def run(arguments: argparse.Namespace) -> tuple[dict[str, Any], Samples]:
    """Run the technique once.

    Returns:
        run.json's content, and by mode (``natural``, ``fixed``) the samples' lines (none unless the status is ``ok``).

    Raises:
        StudyError: what all techniques share is at fault: the device that is asked for, models, data.
    """
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    with ThreadPoolExecutor(1) as beside:
        # While the workers import their libraries, and over before anything is timed.
        described = beside.submit(_described, arguments)
        return _run(arguments, started, described.result)


def _run(
    arguments: argparse.Namespace, started: str, described: Callable[[], dict[str, Any]]
) -> tuple[dict[str, Any], Samples]:
    request = None
    try:
        request, devices = prepare(arguments)
        # How near a tie tokens are, how likely references are, and where time goes is the same in every run.
        request |= {"fixed": arguments.fixed, "thorough": arguments.run == 1}
        if arguments.run == 1 and getattr(arguments, "output", None):
            request |= {"distributions": str((arguments.output / distributions.PART).resolve())}
        request |= {"reference": _reference(arguments, request["device"])}
        outcome = launch.measure(request, devices)
        return _record(arguments, started, request, outcome, described()), outcome.samples
    except Exception as error:
        if request is None and isinstance(error, StudyError):
            raise
        return _record(arguments, started, request, _came_to_nothing(error), described()), NO_SAMPLES


def _came_to_nothing(error: Exception) -> Outcome:
    """What is left of a run that an error ended; a full disk is none of the technique's."""
    return Outcome([failures.report(error)], NO_SAMPLES, [])


def _described(arguments: argparse.Namespace) -> dict[str, Any]:
    """What there is to say of machine, libraries, code and data."""
    return {
        "machine": machine.describe(),
        "versions": machine.versions(),
        "provenance": provenance.describe(arguments.dataset, arguments.settings),
    }


def _record(
    arguments: argparse.Namespace, started: str, request: dict[str, Any] | None, outcome: Outcome,
    described: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """The content of run.json."""
    head, measured = outcome.ranks[0], outcome.ranks[0]["status"] == "ok"
    models = request["models"] if request else {}
    return {
        "technique": arguments.technique,
        "run": arguments.run,
        "status": head["status"],
        "reason": failures.with_log(head, getattr(arguments, "log", None)),
        "settings": arguments.settings,
        "models": {role: {key: model[key] for key in _MODEL_FACTS} for role, model in models.items()},
        "generation": arguments.generation | {"warmup": arguments.warmup, "resolved": head.get("generation")},
        "evidence": _merged_evidence(outcome.ranks, arguments.settings) if measured else {},
        "memory": _memory(outcome.ranks) if measured else None,
        **{key: head.get(key) for key in _HEAD_FACTS},
        "conditions": outcome.conditions,
        **described,
        "processes": request["processes"] if request else 1,
        **({"threads_chosen": request["threads_chosen"]} if request and request.get("threads_chosen") else {}),
        "leased_gpus": outcome.leased,
        "started_at": started,
        "finished_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


_MODEL_FACTS = ("name", "source", "random_weights", "parameters", "dtype", "stored", "architecture",
                "digest")  # fmt: skip
_HEAD_FACTS = ("modes", "compiled_while_timed", "garbage_collected", "phases_s", "load_time_s", "warmup_time_s",
               "compile_time_s", "generation_time_s", "time", "calibration", "energy", "threads",
               "reference")  # fmt: skip


def prepare(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """What the workers are asked, and the unique ids of the GPUs that may be leased (none: run on the CPU)."""
    processes = _processes(arguments.settings)
    devices = leases.chosen(arguments.device)
    models = _models(arguments)
    chosen = _chosen_threads(arguments)
    request = {
        "technique": arguments.technique,
        "settings": arguments.settings,
        "generation": arguments.generation,
        "models": models,
        "dataset": str(arguments.dataset),
        "shots": _rows(arguments, "generation.shots", arguments.generation["shots"]),
        "calibration": _rows(arguments, "calibration", _calibration_rows(arguments.settings)),
        "warmup": arguments.warmup,
        "alone": getattr(arguments, "neighbours", None) == "none",
        "device": "cuda" if devices else "cpu",
        **_of_a_server(getattr(arguments, "served", None), getattr(arguments, "engine", None)),
        "processes": processes,
        "threads_per_process": _threads(arguments.threads, processes, chosen),
        "threads_chosen": chosen,
        "time_limit_s": getattr(arguments, "time_limit", None) or None,
        "log": str(arguments.log.resolve()) if getattr(arguments, "log", None) else None,
    }
    return request, devices


def _of_a_server(served: dict[str, Any] | None, found: Path | None) -> dict[str, Any]:
    """What is asked of a run of a server, with its own environment's program; its processes are found by a mark."""
    if not served:
        return {}
    program = files.read_json(found) if found else {}
    known = {key: program[key] for key in ("executable", "reason") if program.get(key)}
    return {"served": served | known, "mark": secrets.token_hex(16)}


def _processes(settings: dict[str, Any]) -> int:
    return max((facet.processes(value) for facet, value in registry.used_facets(settings)), default=1)


def _threads(asked: int, processes: int, chosen: dict[str, Any] | None = None) -> int:
    """Threads of each process; by default the cores are shared out evenly, as is fair between techniques.

    Where a measurement has chosen a number, no process has more than that.
    """
    share = asked or max(1, machine.usable_cores() // processes)
    return min(share, chosen["threads"]) if chosen else share


def _chosen_threads(arguments: argparse.Namespace) -> dict[str, Any] | None:
    path = getattr(arguments, "chosen_threads", None)
    return files.read_json(path) if path else None


def _models(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    paths = {"target": arguments.target, "draft": arguments.draft}
    return {role: _model(path) for role, path in paths.items() if path is not None}


def _model(path: Path) -> dict[str, Any]:
    """What there is to say of the model of a manifest."""
    manifest = files.read_json(path)
    return {
        "name": path.parent.name,
        "source": manifest["source"],
        "random_weights": manifest.get("random_weights", False),
        "parameters": manifest["parameters"],
        "dtype": manifest["dtype"],
        "stored": manifest.get("stored"),
        "architecture": architecture.of_checkpoint(path.parent / manifest["path"]),
        "digest": manifest.get("weights_digest") or sources.file_digest(path),
        "path": str((path.parent / manifest["path"]).resolve()),
    }


def _reference(arguments: argparse.Namespace, device: str) -> dict[str, Any]:
    """What takes turns with the technique; its digest tells it from every other yardstick."""
    if not arguments.reference_technique or arguments.reference is None:
        return {"reason": "measurement.reference is 'none'."}
    asked = arguments.reference_technique | {
        "model": _model(arguments.reference),
        "threads": _threads(arguments.threads, 1, _chosen_threads(arguments)),
        "time_limit_s": getattr(arguments, "time_limit", None) or None,
    }
    identity = {
        "settings": asked["settings"], "model": asked["model"]["digest"], "threads": asked["threads"], "device": device,
        "generation": arguments.generation, "dataset": sources.file_digest(arguments.dataset),
    }  # fmt: skip
    text = json.dumps(identity, sort_keys=True)
    return asked | {"digest": hashlib.sha256(text.encode()).hexdigest()[:16]}


def _calibration_rows(settings: dict[str, Any]) -> int:
    return max((facet.calibration_rows(value) for facet, value in registry.used_facets(settings)), default=0)


def _rows(arguments: argparse.Namespace, what: str, count: int) -> list[dict[str, str]]:
    if count == 0:
        return []
    if arguments.rows is None:
        raise StudyError(f"{what} asks for {count} rows, but no training rows were given (--rows).")
    rows = files.read_json_lines(arguments.rows)
    if len(rows) < count:
        raise StudyError(f"{what} asks for {count} rows, but {arguments.rows} has {len(rows)}; lower it.")
    return [{"summary": row["summary"], "headline": row["headline"]} for row in rows[:count]]


def _memory(ranks: list[dict[str, Any]]) -> dict[str, Any]:
    """Each rank's memory, and the sums over all devices."""
    shared = ("method", "peak_is_exact")
    each = [device for rank in ranks for device in rank["memory"].get("devices") or [rank["memory"]]]
    devices = [{key: fact for key, fact in device.items() if key not in shared} for device in each]
    return {
        "method": ranks[0]["memory"]["method"],
        "peak_is_exact": all(rank["memory"]["peak_is_exact"] for rank in ranks),
        **{key: ranks[0]["memory"][key] for key in ("note",) if key in ranks[0]["memory"]},
        "devices": devices,
        "peak_memory_bytes": _sum(device["peak_bytes"] for device in devices),
        "load_peak_memory_bytes": _sum(device["load_peak_bytes"] for device in devices),
        "weight_bytes": _sum(device["weight_bytes"] for device in devices),
    }


def _sum(values: Iterable[int | None]) -> int | None:
    """The sum, None where a value was not read."""
    known = list(values)
    return None if None in known else sum(known)


def _merged_evidence(ranks: list[dict[str, Any]], settings: dict[str, Any]) -> dict[str, Any]:
    """Rank 0's evidence; of a facet that asks for several processes, every rank's."""
    evidence = dict(ranks[0]["evidence"])
    for facet, value in registry.used_facets(settings):
        if len(ranks) > 1 and facet.processes(value) > 1:
            evidence[facet.name] = {"ranks": [rank["evidence"][facet.name] for rank in ranks]}
    return evidence


if __name__ == "__main__":
    entry.run(main)
