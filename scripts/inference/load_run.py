"""A load run: the technique's server is started, requests arrive at it, and what it did is read back.

Every technique is asked over HTTP: an engine that is a server is started by its own preset, each other one by the
project's own server (``scripts.serve``), so that rates compare.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.foundation import files, leftovers
from scripts.inference import served, worker
from scripts.inference.served_memory import ServerMemory
from scripts.serving import metrics, presets, proof
from scripts.traffic.load import run_load

if TYPE_CHECKING:
    from scripts.serving.running import Running

OWN = "udaciheadline"
SCRATCH = "udaciheadline-load-"
UNDER_WAY = 64
"""Requests that a server is started for where it must know; others wait in its queue."""
Records = list[dict[str, Any]]


def run(request: dict[str, Any], load: dict[str, Any], write: Callable[[Records], None]) -> dict[str, Any]:
    """Serve the technique and put it under load.

    Args:
        request: as of a run of the technique, with ``leased``, the ids of the GPUs that it has.
        load: the study's settings of load, with the seed of this run.
        write: takes the records of requests, level by level.

    Returns:
        ``levels``, ``capacity``, ``generator``, ``prompts`` and ``stopped`` as of ``scripts.traffic.load.run_load``;
        ``server``: what served, with what was ``proved`` and ``unproved``; ``memory``, and ``start_s``, seconds until
        the server was ready.

    Raises:
        UnsupportedError: the technique can't be served here.
        EvidenceError: the server contradicts what it was asked for.
        MemoryError: it ran out of memory.
        ServerError: anything else that it did wrong.
    """
    with served.told():
        return _run(request, load, write)


def _run(request: dict[str, Any], load: dict[str, Any], write: Callable[[Records], None]) -> dict[str, Any]:
    tokenizer, samples, prompts = worker.texts(request)
    with contextlib.ExitStack() as ending:
        memory = ending.enter_context(contextlib.closing(ServerMemory(request["leased"])))
        asked, words = _served(request, _scratch(ending))
        threads = request["threads_per_process"] * request["processes"]
        server = served.server(asked, threads, tokenizer, prompts, served.MOST_SHARE, UNDER_WAY, words)
        running = ending.enter_context(server)
        prepared = served.requests(request, running, tokenizer, prompts, memory)
        with contextlib.closing(prepared):
            # These are left out of the load, in which no prompt comes twice.
            first = min(max(1, request["warmup"]), len(prompts) - 1) or 1
            prepared.warm_up(first, prompts[-first:])
            kept_back = first if len(prompts) > first else 0
            asks = prepared.asks(prompts, [sample["id"] for sample in samples])[: len(prompts) - kept_back]
        memory.read(running)

        def watched(state: dict[str, Any]) -> None:
            memory.read(running)
            if not running.alive():
                raise running.ended()

        before = running.metrics()
        result = run_load(running.api, asks, load, write=write, progress=watched)
        return result | {
            "server": _facts(running, before, running.metrics()),
            "memory": memory.facts(running),
            "start_s": running.facts.get("start_s"),
        }


def _scratch(ending: contextlib.ExitStack) -> Path:
    """A folder of this run alone; one that a killed run left behind is removed."""
    leftovers.sweep(SCRATCH)
    scratch = Path(tempfile.mkdtemp(prefix=SCRATCH))
    held = leftovers.hold(scratch)
    ending.callback(os.close, held)
    ending.callback(shutil.rmtree, scratch, ignore_errors=True)
    return scratch


def _served(request: dict[str, Any], scratch: Path) -> tuple[dict[str, Any], list[str]]:
    """The request with what serves it, and words for the server's command."""
    if request.get("served"):
        return request, []
    path = scratch / "request.json"
    files.write_json(path, request)
    preset = presets.read(OWN) | {"executable": sys.executable}
    return request | {"served": {"preset": preset, "program": None}}, [f"--request={path}"]


def _facts(running: Running, before: list[metrics.Sample] | None, after: list[metrics.Sample] | None) -> dict[str, Any]:
    counters = running.spec.preset.get("metrics") or {}
    grown = {
        key: metrics.increase(before, after, counters[key])
        for key in ("cached_prompt_tokens", "drafted_tokens", "accepted_tokens")
        if counters.get(key) and before is not None and after is not None
    }
    return {
        "label": running.spec.label,
        "version": running.version,
        "served_model": served.without_paths(running, running.facts.get("served_model")),
        "command": served.without_paths(running, running.command) or None,
        "reserved_tokens": proof.reserved_tokens(running, after),
        **grown,
        **proof.collect(running, before, after, []),
    }
