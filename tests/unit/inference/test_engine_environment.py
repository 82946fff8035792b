"""A server's program from an environment of its own: found there, handed to the run, or the reason why not."""

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from scripts import generate
from scripts.inference import worker
from scripts.techniques import registry
from tests.support import served, worker_runs

ROOT = Path(__file__).resolve().parents[3]


def found_in(environment, output):
    command = [sys.executable, "-P", "-m", "scripts.engine_environment", "--program", environment, "--package", "pip"]
    subprocess.run([*command, "--output", str(output)], check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": ""})
    return json.loads(output.read_text(encoding="utf-8"))


def prepared(checkpoint, evaluation_set, engine):
    settings = worker_runs.settings(engine={"name": "server"} | served.preset(token_ids="token_ids"))
    asked = Namespace(
        technique="tested", settings=settings, generation=worker_runs.GENERATION, target=checkpoint / "manifest.json",
        draft=None, dataset=evaluation_set, rows=None, warmup=1, threads=1, device="cpu",
        served=registry.method_of("engine", settings).asked(settings["engine"]), engine=engine,
    )  # fmt: skip
    return generate.prepare(asked)[0]


def test_the_program_of_an_environment_is_the_runs(checkpoint, evaluation_set, tmp_path):
    name = Path(sys.executable).name
    found = found_in(name, tmp_path / "engines" / "mine.json")
    assert (found["executable"], found["reason"]) == (str(Path(sys.executable).parent / name), None)
    request = prepared(checkpoint, evaluation_set, tmp_path / "engines" / "mine.json")
    assert request["served"]["executable"] == found["executable"]


def test_an_environment_without_the_program_makes_the_technique_unsupported(checkpoint, evaluation_set, tmp_path):
    found = found_in("no-such-server", tmp_path / "mine.json")
    assert found["executable"] is None
    request = prepared(checkpoint, evaluation_set, tmp_path / "mine.json")
    outcome = worker.run(request | {"leased": [], "fixed": {"samples": 0, "new_tokens": 1}}, 0, tmp_path)
    assert outcome["status"] == "unsupported"
    assert outcome["reason"] == "The environment of the engine has no program no-such-server; correct its file."
