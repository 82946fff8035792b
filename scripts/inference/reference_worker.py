"""The reference process of a run: loads its technique once, and times one fixed request for each line on stdin.

Started by ``scripts.inference.reference``. The request is the first prompt of the evaluation set with a fixed number of
new tokens. It exits when stdin closes.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import gc
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scripts.foundation import entry, failures, files, parent
from scripts.foundation.errors import StudyError
from scripts.inference import garbage, pinning, worker
from scripts.inference.reference import TURN_S
from scripts.runtime import positions
from scripts.runtime.errors import UnsupportedError

NEW_TOKENS = 16
WARMUP = 3  # requests


def main() -> None:
    """Serve the request of a run."""
    parser = argparse.ArgumentParser(description="The reference of a generation run, started by its worker.")
    parser.add_argument("--request", type=Path, required=True, help="the run's request, JSON")
    arguments = parser.parse_args()
    parent.end_with_parent()
    serve(arguments.request)


def serve(path: Path) -> None:
    """Answer one line on standard output for each line of standard input, and exit when that is closed.

    Args:
        path: the run's request.
    """
    # Prints of libraries must not mix with the answers.
    answers = os.dup(1)
    os.dup2(2, 1)
    atexit.register(os._exit, 1)
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()

    def answer(content: dict[str, Any]) -> None:
        os.write(answers, json.dumps(content).encode() + b"\n")

    run = files.read_json(path)
    import_libraries(run)
    answer({"imported": True})
    asked.get()
    pinning.pin(run.get("cpus"), 0, run["reference"]["threads"])
    with contextlib.ExitStack() as ending:
        try:
            request, about = ending.enter_context(reference_request(run))
        except StudyError as error:
            answer({"failed": str(error)})
        except (UnsupportedError, MemoryError, RuntimeError, OSError) as error:
            answer({"off": f"The reference could not be loaded: {(str(error).strip() or repr(error)).splitlines()[0]}"})
        else:
            answer(about)
            while asked.get():
                answer(turn(request))
    sys.stderr.flush()
    os._exit(0)


def import_libraries(run: dict[str, Any]) -> None:
    """Import slow libraries early; those of facets are imported while loading, since some touch a GPU."""
    from scripts.inference import memory, preparation  # noqa: F401 - what it imports is what is wanted

    worker.import_libraries(run)
    memory.import_libraries(run["reference"]["model"]["path"], {})


def _listen(asked: queue.SimpleQueue[str]) -> None:
    """Queue the lines of stdin; exit at once when the worker closes it."""
    for line in sys.stdin:
        asked.put(line)
    os._exit(0)


def turn(request: Callable[[], float]) -> dict[str, Any]:
    """The reading of a turn, or that it ran out of memory."""
    try:
        return {"seconds": reading(request)}
    except (MemoryError, RuntimeError, OSError) as error:
        if not failures.is_out_of_memory(error):
            raise
        return {"out_of_memory": failures.first_line(error)}


def reading(request: Callable[[], float]) -> float:
    """Mean seconds of the request, repeated until ``TURN_S`` have passed."""
    gc.collect()
    times: list[float] = []
    began = time.perf_counter()
    while not times or time.perf_counter() - began < TURN_S:
        times.append(request())
    return sum(times) / len(times)


@contextlib.contextmanager
def reference_request(run: dict[str, Any]) -> Iterator[tuple[Callable[[], float], dict[str, Any]]]:
    """A function that makes the fixed request and returns its seconds, warmed up, and a description of it.

    Args:
        run: the request of the run.
    """
    reference = run["reference"]
    own = run | {
        "settings": reference["settings"], "models": {"target": reference["model"]}, "calibration": [],
        "processes": 1, "threads_per_process": reference["threads"],
    }  # fmt: skip
    process = worker.start(own, 0)
    from scripts.inference.preparation import prepare

    tokenizer, _, prompts = worker.texts(own)
    lengths = [len(ids) for ids in tokenizer(prompts[:1])["input_ids"]]
    positions.refuse_too_long(
        reference["model"]["path"], reference["settings"].get("prompt_tokens") or lengths[0], NEW_TOKENS
    )
    with contextlib.closing(prepare(own, process, tokenizer)) as prepared:
        prepared.reserve([prompts[:1]], NEW_TOKENS)
        garbage.freeze_libraries()
        with prepared.fixed_length(NEW_TOKENS), garbage.paused():

            def request() -> float:
                return prepared.generate(prompts[:1], counted=False)[0]["batch_time_s"]

            for _ in range(WARMUP):
                request()
            prompt = prepared.generate(prompts[:1], counted=False)[0]["prompt_tokens"]
            yield request, {"prompt_tokens": prompt, "new_tokens": NEW_TOKENS}


if __name__ == "__main__":
    entry.run(main)
