"""A tiny study whose processes are hit by signals while it runs, and what it must have come to in the end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from copy import deepcopy
from pathlib import Path
from random import Random

import psutil

from tests.faults.campaign import Campaign
from tests.support import served
from tests.workflow.project import TINY, Project, clean_environment, run

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# Every kind of run: stock, transformed weights, ranks of both kinds, speculation, the graph engine, a server, load.
SELECT = ["baseline", "kv_cache", "nf4", "tensor_parallel", "pipeline_parallel", "speculative", "graph", "test_server"]
SIDE_BY_SIDE = ("--set-threads", "generate=1", "prepare_model=1")
# What is lost of a finished study, and how often each: a model takes the most to make again.
PARTS = {
    "generations/*": 16, "load/*": 4, "metrics/*.json": 4, "metrics/text/*.json": 4, "models/*": 1,
    "dataset": 1, "comparison.json": 2, "plots": 2, "report.html": 2, "report.md": 1,
}  # fmt: skip
UNTOUCHED = 0.75  # share of the hits that a model in training is spared, so that others are trained on
ALLOWED = 60.0  # seconds for the processes of a call to end


def create(root: Path) -> Project:
    """The project with the study that is hit."""
    project = Project.create(root)
    server = served.preset(token_ids="token_ids", continuous_usage=True, service_s=0.01, tokens=6)
    project.study = deepcopy(TINY) | {"select": SELECT}
    project.study["techniques"]["test_server"] = {
        "label": "Server", "extends": "kv_cache",
        "engine": {"name": "server"} | server | {"proves": server["proves"][1:]},
    }  # fmt: skip
    project.study["dataset"]["samples"] = 8
    project.study["load"] = {"techniques": ["graph"], "rates": [20], "requests": 20, "repeats": 1}
    return project


def start(project: Project, log: Path) -> subprocess.Popen:
    """Start what ``make report`` runs, in a session of its own."""
    ready = [sys.executable, "-m", "scripts.ready"]
    script = f'{" ".join(ready)} && exec "$@"'
    with log.open("wb") as file:
        return subprocess.Popen(
            ["sh", "-c", script, "sh", *project.command(*SIDE_BY_SIDE)], cwd=project.root,
            env=clean_environment() | project.environment, stdin=subprocess.DEVNULL, stdout=file,
            stderr=subprocess.STDOUT, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip


def kind(process: psutil.Process) -> str:
    """What a process of the study is: its stage, ``rank``, ``snakemake``, or ``other``."""
    with contextlib.suppress(psutil.Error):
        words = process.cmdline()
        if "scripts.inference.worker" in words:
            return "rank"
        stages = [word for word in words if word.startswith("scripts.")]
        if stages and words[0] != "sh" and "bash" not in words[0]:
            return stages[0].removeprefix("scripts.")
        if "snakemake" in words:
            return "snakemake"
    return "other"


def hit(process: subprocess.Popen, random: Random) -> str | None:
    """Send a random signal to a process of a random kind, or to all; says to what, None where none was sent."""
    found: dict[str, list[psutil.Process]] = {"everything": []}
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(process.pid)
        for each in (parent, *parent.children(recursive=True)):
            found.setdefault(kind(each), []).append(each)
    found.pop("other", None)
    # Stages are what a study is made of: they are hit more often than the call itself.
    names = sorted(found) + [name for name in sorted(found) if name not in ("everything", "snakemake")] * 2
    name, number = random.choice(names), random.choice(SIGNALS)
    if "prepare_model" in found and random.random() < UNTOUCHED:
        return None
    try:
        if name == "everything":
            os.killpg(process.pid, number)
        else:
            random.choice(found[name]).send_signal(number)
    except (ProcessLookupError, psutil.Error):
        return None
    return f"{number.name} to {name}"


def left_over(project: Project) -> list[psutil.Process]:
    """The processes that still work in the project's folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if Path(process.cwd()) == project.root.resolve():
                found.append(process)
    return found


def wait_for_none(project: Project) -> float:
    """Wait until no process works in the folder; returns the seconds that it took."""
    began = time.monotonic()
    while processes := left_over(project):
        assert time.monotonic() - began < ALLOWED, [(each.pid, each.cmdline()) for each in processes]
        time.sleep(0.1)
    return time.monotonic() - began


def lose(project: Project, random: Random) -> str:
    """Remove a random part of the results, as a person or a program could; says which."""
    results = project.root / "results"
    [pattern] = random.choices(list(PARTS), list(PARTS.values()))
    part = random.choice(sorted(results.glob(pattern)) or [results / "report.html"])
    shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)
    return pattern


def tokens(project: Project) -> dict[str, list]:
    """The token ids, or the texts of a server, of each run."""
    runs = sorted((project.root / "results/generations").glob("*/run-*/samples.jsonl"))
    rows = {str(path.relative_to(project.root)): path.read_text(encoding="utf-8").splitlines() for path in runs}
    return {path: [(row.get("token_ids"), row.get("text")) for row in map(json.loads, lines)]
            for path, lines in rows.items()}  # fmt: skip


def scores(project: Project) -> dict[str, dict]:
    """The scores of the texts, by technique."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8"))["scores"]
            for path in sorted((project.root / "results/metrics/text").glob("*.json"))}  # fmt: skip


def weights(project: Project) -> dict[str, str]:
    """The digest of each model's weights."""
    paths = sorted((project.root / "results/models").glob("*/manifest.json"))
    return {path.parent.name: json.loads(path.read_text(encoding="utf-8"))["weights_digest"] for path in paths}


def halves(project: Project) -> list[str]:
    """Files that a killed writer left, and JSON that can't be read."""
    found = []
    for path in (project.root / "results").rglob("*"):
        if path.suffix in (".part", ".partial", ".new", ".tmp") or path.name == ".partial":
            found.append(str(path))
        elif path.suffix in (".json", ".jsonl") and path.is_file():
            text = path.read_text(encoding="utf-8")
            try:
                for line in text.splitlines() if path.suffix == ".jsonl" else [text]:
                    json.loads(line)
            except ValueError:
                found.append(str(path))
    return found


def campaign_of(campaign: Campaign, project: Project, kills: int, mean_s: float) -> list[str]:
    """Hit the study until so many kills are done, losing a part of its results whenever it is finished.

    Returns what was wrong with a call, a line each.
    """
    wrong: list[str] = []
    rounds = campaign.rounds(kills)
    log = project.root / "call.log"
    slowest = 0.0
    going = next(rounds, None) is not None
    while going:
        process = start(project, log)
        campaign.count("calls")
        while going and process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.3 + campaign.random.expovariate(1 / mean_s))
            if process.poll() is None and (what := hit(process, campaign.random)) is not None:
                campaign.count(what)
                going = next(rounds, None) is not None
        if not going:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        status = process.wait(timeout=900)
        try:
            slowest = max(slowest, wait_for_none(project))
        except AssertionError as error:
            wrong.append(f"left over: {error}")
        text = log.read_text(encoding="utf-8", errors="replace")
        if "cannot be locked" in text:
            wrong.append(text[-3000:])
        # As Python's own, of a process that a signal meets while it starts.
        campaign.count("calls that showed a traceback", "Traceback" in text)
        if status == 0:
            campaign.count(f"lost {lose(project, campaign.random)}")
    campaign.note(f"processes ended within {slowest:.1f} s")
    return wrong


def finish(project: Project) -> str:
    """Run the command once more, to its end; returns what it said."""
    script = f'{sys.executable} -m scripts.ready && exec "$@"'
    command = ["sh", "-c", script, "sh", *project.command(*SIDE_BY_SIDE)]
    outcome = run(command, project.root, project.environment, 1800)
    assert outcome.status == 0, outcome.text
    return outcome.text
