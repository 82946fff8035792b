"""Serve a technique's model over HTTP, with the completions API of OpenAI, until it is interrupted.

By hand, with the models of the study in this folder (results/models):

    python -m scripts.serve --technique graph --port 8000

Requests join and leave a running batch. Answers are the most likely tokens, or drawn where the study's
generation.temperature is above 0; then a request may say temperature, top_p, top_k, seed and draw itself. Routes: POST
/v1/completions and /v1/chat/completions; GET /health (200 when everything is captured and warm), /v1/models, /version,
/metrics (Prometheus), /evidence (JSON).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts import generate
from scripts.foundation import entry, failures, files, parent, plugins
from scripts.foundation.errors import StudyError
from scripts.foundation.wording import shown, suggestion
from scripts.inference import leases, machine
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.server import process
from scripts.server.fronts import Fronts, listen
from scripts.study import configuration, layers
from scripts.study.plan import Plan

logger = logging.getLogger(__name__)

MOST_FRONTS = 8


def main() -> None:
    """Read what to serve, load it, and serve."""
    arguments = _arguments()
    if os.environ.get(parent.PARENT):
        parent.end_with_parent()
    failures.end_on_signals()
    try:
        with _request(arguments) as request:
            serve(request, arguments)
    except (UnsupportedError, EvidenceError) as error:
        raise StudyError(str(error)) from None
    except Exception as error:
        if not failures.is_out_of_memory(error):
            raise
        sentence = "memory ran out; lower --slots or --max-length, or use a smaller model"
        raise StudyError(f"{sentence} ({failures.first_line(error)}).") from None


def serve(request: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Serve the technique of a run's request.

    Raises:
        StudyError: it can't be served, in a sentence.
    """
    process.refuse_unserved(request["technique"], request["settings"])
    sockets = listen(arguments.host, arguments.port, arguments.fronts or _fronts(request["device"]))
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    address = f"http://{host}:{sockets[0].getsockname()[1]}"
    fronts = Fronts(sockets)
    logger.info("%s: loading %s", address, request["technique"])
    engine = None
    try:
        # While the fronts start.
        engine = process.Engine(request, arguments.max_length, arguments.slots, arguments.name)
        fronts.make_ready(engine.info)
        slots, length = engine.batching.slots, engine.batching.max_length
        logger.info("%s serves %d requests at a time, of up to %d tokens each", address, slots, length)
        process.Loop(engine, fronts).run()
    finally:
        fronts.close()
        if engine is not None:
            engine.batching.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--technique", metavar="NAME", help="a technique of the study in this folder")
    what.add_argument("--request", type=Path, metavar="FILE", help="the request of a run, JSON, made by the workflow")
    parser.add_argument("--configfile", nargs="+", default=[], metavar="FILE", help="the study, as for snakemake")
    parser.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="keys of the study")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    parser.add_argument("--port", type=_port, default=8000, help="port to listen on (default: 8000; 0: a free one)")
    parser.add_argument(
        "--slots", type=_count, metavar="N", help="requests under way at most (default: the technique's)"
    )
    parser.add_argument(
        "--max-length", type=_count, metavar="N",
        help=f"most tokens of a prompt and its answer (default: as the model has, up to {process.LONGEST})",
    )  # fmt: skip
    parser.add_argument("--fronts", type=_count, metavar="N", help="processes that speak HTTP (default: by the cores)")
    parser.add_argument("--name", metavar="NAME", help="a further name of the model, beside the technique's")
    return parser.parse_args()


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value < 65536:
        raise ValueError
    return value


_count.__name__ = "number from 1"
_port.__name__ = "port"


def _fronts(device: str) -> int:
    """Where a GPU works, half of the cores; otherwise the model needs them."""
    return max(1, min(MOST_FRONTS, machine.usable_cores() // 2)) if device == "cuda" else 1


@contextlib.contextmanager
def _request(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What to serve, with a GPU leased where nobody has done that."""
    if arguments.request is not None:
        yield _read(arguments.request)
        return
    request, devices = generate.prepare(_of_study(arguments))
    process.refuse_unserved(request["technique"], request["settings"])
    if not devices:
        yield request
        return
    with leases.lease(devices, 1) as leased:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(leased)
        yield request | {"leased": leased}


def _read(path: Path) -> dict[str, Any]:
    try:
        request = files.read_json(path)
    except OSError as error:
        raise StudyError(f"the request {path} can't be read ({error.strerror}); correct the path.") from None
    missing = [
        key for key in ("technique", "settings", "generation", "models", "device", "processes", "threads_per_process")
        if not isinstance(request, dict) or key not in request
    ]  # fmt: skip
    if missing:
        raise StudyError(f"{path} is no request of a run: it lacks {missing[0]!r}; let the workflow make it.")
    return request


def _of_study(arguments: argparse.Namespace) -> argparse.Namespace:
    """The arguments of a run of the technique, as the study in this folder has it."""
    files = [Path(file) for file in arguments.configfile]
    # Any of its techniques, selected or not.
    study = layers.read(files, [*arguments.config, "select=[]"])
    if arguments.technique in (study.config.get("techniques") or {}):
        # And no other: what a study does not select may not go with its models.
        alone = (
            f"select=[{json.dumps(arguments.technique)}]",
            "load={techniques: none}",
            "measurement={reference: none}",
        )
        study = layers.read(files, [*arguments.config, *alone])
    try:
        plugins.use(study.config.get("plugins") or [])
        techniques = {technique.name: technique for technique in configuration.check(study.config)}
    except StudyError as error:
        raise StudyError(study.explain(error)) from None
    name = arguments.technique
    if name not in techniques:
        raise StudyError(f"--technique is {shown(name)}, which is no technique{suggestion(name, techniques)}.")
    technique = techniques[name]
    plan = Plan(study.config, techniques, [])
    inputs = {name: Path(path) for name, path in plan.generation_inputs(technique).items()}
    for path in inputs.values():
        if not path.is_file():
            raise StudyError(
                f"{path} is missing; run the study in this folder first (`snakemake` with the same --configfile), or "
                "go to the folder in which it ran."
            )
    return argparse.Namespace(**{"draft": None, "rows": None, **plan.profile_request(technique), **inputs})


if __name__ == "__main__":
    entry.run(main)
