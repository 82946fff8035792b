"""Whichever process of a served run is killed, no process and no lease is left, and the run says what happened."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from scripts.foundation import files
from scripts.inference import leases
from scripts.serving import guard
from scripts.techniques import registry
from tests.support import served, worker_runs

ROOT = Path(__file__).resolve().parents[3]


def started(checkpoint, evaluation_set, tmp_path, **options):
    """``scripts.generate`` on the test server, which takes long to answer."""
    engine = served.preset(token_ids="token_ids", continuous_usage=True, **options)
    engine["proves"] = engine["proves"][1:]
    settings = worker_runs.settings(engine={"name": "server"} | engine)
    request = {
        "technique": "tested", "run": 1, "settings": settings, "generation": worker_runs.GENERATION,
        "target": str(checkpoint / "manifest.json"), "dataset": str(evaluation_set), "warmup": 1, "threads": 1,
        "fixed": {"new_tokens": 5, "samples": 0}, "device": "cpu", "output": str(tmp_path / "run-1"),
        "served": registry.method_of("engine", settings).asked(settings["engine"]), "log": str(tmp_path / "run.log"),
    }  # fmt: skip
    (tmp_path / "request.json").write_text(json.dumps(request), encoding="utf-8")
    command = [sys.executable, "-P", "-m", "scripts.generate", "--request", str(tmp_path / "request.json")]
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with (tmp_path / "run.log").open("wb") as log:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)


def tree(process, log, until=60.0):
    """The processes of a run by their part, once its server is asked."""
    end = time.monotonic() + until
    while time.monotonic() < end and process.poll() is None:
        found = {}
        for child in psutil.Process(process.pid).children(recursive=True):
            try:
                words = child.cmdline()
            except psutil.Error:  # it has just ended
                continue
            for part, module in (("worker", "scripts.inference.worker"), ("guard", "scripts.serving.guard"),
                                 ("server", "tests.support.sse_server")):  # fmt: skip
                if module in words and (part != "server" or "scripts.serving.guard" not in words):
                    found.setdefault(part, child)
        if len(found) == 3 and log.exists() and "listening" in log.read_text():
            return found
        time.sleep(0.05)
    raise AssertionError("the run did not come to ask its server")


def gone(processes, seconds=15.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        alive = [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
        if not alive:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["generate", "worker", "guard", "server"])
def test_nothing_is_left_whichever_process_is_killed(killed, checkpoint, evaluation_set, tmp_path, monkeypatch):
    process = started(checkpoint, evaluation_set, tmp_path, service_s=30.0)
    parts = tree(process, tmp_path / "run.server.log")
    mark = parts["server"].environ()[guard.MARK]
    os.kill(process.pid if killed == "generate" else parts[killed].pid, signal.SIGKILL)
    process.wait(60)
    assert gone(parts.values())
    assert not guard.marked(mark)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    locks = [path.stem for path in leases.lock_directory("cpu").glob("*.lock")]
    with leases.try_lease(locks, len(locks), leases.lock_directory("cpu")) as free:
        assert not locks or free == locks
    if killed != "generate":
        record = files.read_json(tmp_path / "run-1" / "run.json")
        assert record["status"] == "failed"
        wanted = {"worker": "rank 0 was killed (signal 9)", "guard": "signal 9", "server": "test server was killed"}
        assert wanted[killed] in record["reason"]
        assert "\n" not in record["reason"]


@pytest.mark.slow
def test_the_record_of_a_served_run_holds_no_path_of_this_machine(checkpoint, evaluation_set, tmp_path):
    process = started(checkpoint, evaluation_set, tmp_path, service_s=0.01)
    assert process.wait(120) == 0
    text = (tmp_path / "run-1" / "run.json").read_text(encoding="utf-8")
    assert json.loads(text)["status"] == "ok", text
    assert str(checkpoint.parent) not in text
    assert str(Path(sys.executable).parent) not in json.dumps(json.loads(text)["evidence"])
    assert sorted(path.name for path in (tmp_path / "run-1").iterdir()) == [
        "distributions.npz",
        "fixed.jsonl",
        "run.json",
        "samples.jsonl",
    ]
