"""Dry runs in forks of one process that has Snakemake imported: the same plans, without a start of Python for each."""

import atexit
import functools
import importlib
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

# What Snakemake and the rules import late, but nothing that a test replaces by a stand-in.
LIBRARIES = ("snakemake.cli", "snakemake.report", "docutils.core", "jsonschema", "requests", "smart_open", "yte")


class Jobs(logging.Filter):
    """Writes down the jobs that Snakemake tells of, whatever is shown of them."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "event", None) == "job_info":
            told = ("rule_name", "wildcards", "output", "priority", "threads", "reason")
            job = {key: getattr(record, key) for key in told} | {"gpu": record.resources.get("gpu")}
            with open(self._path, "a", encoding="utf-8") as handle:
                handle.write(json.dumps(job) + "\n")
        return True


def run(
    arguments: list[str], folder: Path, environment: dict[str, str], timeout: float
) -> tuple[int, str, list[dict[str, Any]]]:
    """Return what ``python -m snakemake`` does with these arguments, in this folder and environment.

    Exit status, output, and the planned jobs with rule_name, wildcards, output, priority, threads, reason and gpu.
    """
    output = folder / "dry run.log"
    request = [arguments, str(folder), environment, str(output), timeout]
    server = _server()
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    answer = server.stdout.readline()
    assert answer, "the process that makes dry runs has ended"
    text = output.read_text(encoding="utf-8", errors="replace")
    output.unlink()
    jobs = folder / "dry run.jobs"
    lines = jobs.read_text(encoding="utf-8").splitlines() if jobs.exists() else []
    jobs.unlink(missing_ok=True)
    return int(answer), text, [json.loads(line) for line in lines]


@functools.cache
def _server() -> subprocess.Popen:
    server = subprocess.Popen(
        [sys.executable, "-P", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(server.wait)
    atexit.register(server.stdin.close)
    return server


def serve() -> None:
    """Answer each request, a line of JSON, with the exit status of its fork."""
    for library in LIBRARIES:
        importlib.import_module(library)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            return become_snakemake(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def become_snakemake(
    arguments: list[str], folder: str, environment: dict[str, str], output: str, timeout: float
) -> None:  # fmt: skip
    """Do what ``python -m snakemake`` does, for as many seconds at most."""
    signal.alarm(int(timeout))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    written = os.open(output, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(written, 1)
    os.dup2(written, 2)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    shadows = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:0] = [folder, *shadows]
    sys.argv = ["snakemake", *arguments]
    sys.dont_write_bytecode = False
    logging.getLogger("snakemake.logging").addFilter(Jobs(output.removesuffix(".log") + ".jobs"))
    importlib.import_module("snakemake.cli").main(arguments)


if __name__ == "__main__":
    serve()
