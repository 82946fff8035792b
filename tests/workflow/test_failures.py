"""What a run meets: too few GPUs, no hub, a full disk, a kill; what is said of it, and that the next run goes on."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from scripts import generate
from scripts.inference import machine
from tests.support import hub
from tests.workflow.project import Outcome, Project, clean_environment, run

RUN_STAGES = ("generate", "score_text", "score")


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def tokens(project: Project, technique: str) -> list[list[int]]:
    lines = (project.root / f"results/generations/{technique}/run-1/samples.jsonl").read_text(encoding="utf-8")
    return [json.loads(line)["token_ids"] for line in lines.splitlines()]


# --- more GPUs than there are ---


@pytest.mark.parametrize(("visible", "there"), [(None, "2 GPUs"), ("1", "1 GPU ")])
def test_more_gpus_than_there_are_is_an_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, there: str
) -> None:
    gpus = [
        {"uuid": f"GPU-{n}", "name": "NVIDIA", "memory_bytes": 1, "driver": "1", "power_limit_w": None}
        for n in range(2)
    ]
    monkeypatch.setattr(machine, "gpus", lambda: gpus)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    target = tmp_path / "small" / "manifest.json"
    target.parent.mkdir()
    target.write_text(
        json.dumps({"source": "random", "parameters": 1, "dtype": "float32", "path": "."}), encoding="utf-8"
    )
    (tmp_path / "eval.jsonl").write_text("", encoding="utf-8")
    outcome, samples = generate.run(
        Namespace(
            technique="wide", run=1, settings={"model": "small", "parallel": {"tensor": 3, "pipeline": 1}},
            generation={"shots": 0}, target=target, draft=None, dataset=tmp_path / "eval.jsonl", rows=None,
            fixed={"new_tokens": 4, "samples": 0}, warmup=1, threads=1, device="auto", output=tmp_path,
            reference=None, reference_technique=None,
        )
    )  # fmt: skip
    assert outcome["status"] == "unsupported"
    assert outcome["reason"].startswith("Needs 3 GPUs")
    assert there in outcome["reason"]
    assert (samples["natural"], outcome["evidence"], outcome["memory"]) == ([], {}, None)


def test_a_technique_with_too_few_gpus_is_a_row_of_the_report(project: Project) -> None:
    shutil.rmtree(project.root / "results/generations/tensor_parallel")
    project.fake_gpus("NVIDIA Pretended 9000")
    project.study["measurement"]["device"] = "auto"
    # The other techniques' results stand, as if they came from the pretended machine.
    outcome = project.snakemake("--rerun-triggers", "mtime", "--resources", "gpu=1")
    assert outcome.status == 0, outcome.text
    record = read(project.root / "results/generations/tensor_parallel/run-1/run.json")
    assert (record["status"], record["reason"]) == (
        "unsupported",
        "Needs 2 GPUs; this machine has 1 GPU to use.",
    )
    assert record["reason"] in (project.root / "results/report.html").read_text(encoding="utf-8")
    # The terminal says so when the run is over, and ends with the answer.
    assert re.search(
        r"  run 1 of tensor_parallel, \S+ (?:s|min): unsupported: Needs 2 GPUs; this machine has 1 ", outcome.text
    )
    assert outcome.text.splitlines()[-1].startswith(f"The report is {project.root.resolve()}/results/report.html; ")


# --- models ---

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def from_hub(project: Project, address: str) -> Outcome:
    """Ask for a model of a hub at this address, with no token and nothing in the cache."""
    project.study["models"]["small"] |= {"source": "hub", "hub": {"id": "owner/gated", "revision": COMMIT}}
    home = str(project.root / "hub cache")
    project.environment |= {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HOME": home}
    return project.snakemake("results/models/small/manifest.json")


def test_a_gated_model_without_a_token_says_what_to_do(fresh: Project) -> None:
    repository = hub.Repository(files={"config.json": b"{}", "model.safetensors": b""}, commit=COMMIT, gated=True)
    with hub.serve({"owner/gated": repository}) as served:
        outcome = from_hub(fresh, served.address)
    assert outcome.error.startswith("error: model small: models.small.hub: owner/gated is gated")
    assert "HF_TOKEN" in outcome.error
    assert outcome.error.endswith("; the log is results/logs/models/small.log.")
    # The sentence is all: no command line, no log.
    assert "scripts.prepare_model" not in outcome.text
    assert "1 step failed; the same command tries again what is missing." in outcome.text
    assert len(outcome.text.splitlines()) < 8, outcome.text


@pytest.mark.slow
def test_a_hub_that_cannot_be_reached_is_named(fresh: Project) -> None:
    error = from_hub(fresh, "http://127.0.0.1:9").error
    assert "models.small.hub: owner/gated" in error
    assert "http://127.0.0.1:9 cannot be reached" in error


def again(project: Project, technique: str) -> Outcome:
    """Run one finished technique anew."""
    shutil.rmtree(project.root / f"results/generations/{technique}")
    return project.snakemake(
        f"results/generations/{technique}/run-1/run.json", "--rerun-triggers", "mtime", timeout=120
    )


@pytest.mark.slow
def test_a_draft_with_another_tokenizer_is_refused(project: Project) -> None:
    """Two models of a hub show only once they are here that they don't share a tokenizer."""
    path = project.root / "results/models/small/tokenizer.json"
    tokenizer = read(path)
    words = tokenizer["model"]["vocab"]
    (one, first), (other, second) = list(words.items())[-2:]
    words |= {one: second, other: first}
    path.write_text(json.dumps(tokenizer), encoding="utf-8")
    error = again(project, "speculative").error
    assert "draft model" in error
    assert "tokenizer" in error


@pytest.mark.slow
def test_lost_weights_are_named(project: Project) -> None:
    for file in (project.root / "results/models/small").glob("*.safetensors"):
        file.unlink()
    assert "models/small" in again(project, "kv_cache").error


# --- a full disk ---


def on_small_disk(folder: Path, size: str, command: list[str], project: Project) -> Outcome:
    """Run a command that sees a disk of this size at this folder, and nobody else does."""
    folder.mkdir(parents=True, exist_ok=True)
    # The file keeps Snakemake from removing an empty folder that a disk is mounted on.
    script = 'mount -t tmpfs -o size="$1" tmpfs "$2" && touch "$2/kept" || exit 77; shift 2; exec "$@"'
    inside = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None:
        pytest.skip("a small disk needs unshare, which is not installed")
    outcome = run([*inside, "sh", "-c", script, "sh", size, str(folder), *command], project.root, project.environment)
    if outcome.status == 77 or "unshare failed" in outcome.text:
        pytest.skip(f"this machine lets no small disk be mounted: {outcome.text.strip()}")
    return outcome


FULL = "the disk is full while writing"


@pytest.mark.slow
def test_a_full_disk_stops_the_data_set_and_the_next_run_continues(fresh: Project) -> None:
    fresh.study["dataset"]["newswire"]["train_rows"] = 2000
    target = "results/dataset/eval.jsonl"
    outcome = on_small_disk(fresh.root / "results", "96k", fresh.command(target), fresh)
    assert FULL in outcome.error
    outcome = fresh.snakemake(target)
    assert outcome.status == 0, outcome.text


@pytest.mark.slow
def test_a_full_disk_stops_a_score_alone(project: Project) -> None:
    shutil.rmtree(project.root / "results/metrics")
    command = project.command("results/metrics/nf4.json")
    assert FULL in on_small_disk(project.root / "results/metrics", "4k", command, project).error
    assert project.snakemake("results/metrics/nf4.json").status == 0


@pytest.mark.slow
def test_a_full_disk_stops_a_model(project: Project) -> None:
    settings = {
        "source": "train",
        "train": project.study["models"]["small"]["train"] | {"steps": 1},
        "dtype": "float32",
    }
    command = [
        sys.executable, "-m", "scripts.prepare_model", "--name", "small", "--settings", json.dumps(settings),
        "--train", "results/dataset/train.jsonl", "--prompt", "{summary}", "--output", "small disk/small",
    ]  # fmt: skip
    assert "the disk is full" in on_small_disk(project.root / "small disk", "128k", command, project).error


# --- a job that fails ---


@pytest.mark.slow
def test_one_technique_that_fails_leaves_the_others_alone(project: Project) -> None:
    project.study["select"] = ["baseline", "kv_cache", "pruned", "nf4"]
    project.edit("scripts/techniques/pruning/facet.py", "transforms_weights = True", "transforms_weights = 1 / 0")
    assert "division by zero" in project.snakemake().text
    project.edit("scripts/techniques/pruning/facet.py", "transforms_weights = 1 / 0", "transforms_weights = True")
    project.edit(
        "scripts/techniques/pruning/magnitude/method.py",
        "    if remaining == 0:",
        "    raise KeyError('a fault')\n    if remaining == 0:",
    )
    (project.root / "results/metrics/nf4.json").unlink()
    outcome = project.snakemake()
    assert outcome.status == 1
    assert (project.root / "results/metrics/nf4.json").exists()
    log = "results/logs/generate/pruned-1.log"
    assert outcome.errors == [
        f"error: pruned failed: KeyError: 'a fault'; the log is {log}; the next call tries it again."
    ]
    assert "a fault" in (project.root / log).read_text(encoding="utf-8")
    # The report is of the others, and says what failed.
    row = next(
        each for each in read(project.root / "results/comparison.json")["techniques"] if each["name"] == "pruned"
    )
    assert row["status"] == "failed"
    assert all(figure["value"] is None for figure in row["figures"].values())
    for report in ("report.html", "report.md"):
        assert "techniques failed and has no figures" in (project.root / "results" / report).read_text(encoding="utf-8")
    # It is tried again, and nothing else; once it comes to its end there is nothing left to do.
    again = {f"{stage}:pruned" for stage in RUN_STAGES} | {"compare", "plot", "render"}
    assert project.plan() == again
    project.edit("scripts/techniques/pruning/magnitude/method.py", "    raise KeyError('a fault')\n", "")
    assert project.plan() == again
    assert project.snakemake().status == 0
    assert project.plan() == set()


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["score_text", "score"])
def test_a_technique_that_cannot_be_scored_leaves_the_others_alone(project: Project, stage: str) -> None:
    project.study["select"] = ["baseline", "kv_cache", "nf4"]
    fault, file = "raise KeyError('a fault')", f"scripts/{stage}.py"
    make = f'    """The {"file of scores" if stage == "score_text" else "metrics file"}."""\n'
    project.edit(file, make, f"{make}    if arguments.technique == 'nf4':\n        {fault}\n")
    outcome = project.snakemake()
    assert outcome.status == 1
    log = f"results/logs/metrics/nf4{'-text' * (stage == 'score_text')}.log"
    [error] = outcome.errors
    assert error.startswith("error: nf4 failed: scoring failed: ")
    assert f"KeyError: 'a fault'; the log is {log}; the next call tries it again." in error
    assert fault in (project.root / log).read_text(encoding="utf-8")
    rows = {each["name"]: each for each in read(project.root / "results/comparison.json")["techniques"]}
    assert [name for name, row in rows.items() if row["status"] == "failed"] == ["nf4"]
    assert (project.root / "results/report.html").stat().st_mtime > (project.root / "study.yaml").stat().st_mtime
    assert "can't be scored" in (project.root / log).read_text(encoding="utf-8")
    # Its runs are good: only the scoring is tried again, from where it failed.
    assert project.plan() == {f"{stage}:nf4", "score:nf4", "compare", "plot", "render"}
    project.edit(file, f"        {fault}\n", "        pass\n")
    assert project.snakemake().status == 0
    assert project.plan() == set()


# --- a run that is killed ---


@contextlib.contextmanager
def started(project: Project, sign: Callable[[], bool]):
    """Start the study in a process group of its own, and wait for a sign of how far it is."""
    with (project.root / "first run.log").open("wb") as log:
        process = subprocess.Popen(
            project.command(), cwd=project.root, env=clean_environment() | project.environment,
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            # Tests that run in a shell's background inherit that interrupts are ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not sign():
            assert process.poll() is None, Path(log.name).read_text(encoding="utf-8")
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def left_over(project: Project) -> list[psutil.Process]:
    """The processes that still work in the project's folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if Path(process.cwd()) == project.root:
                found.append(process)
    return found


def wait_for_none(project: Project) -> None:
    deadline = time.monotonic() + 30
    while left_over(project):
        assert time.monotonic() < deadline, left_over(project)
        time.sleep(0.1)


def kill(project: Project, sign: Callable[[], bool]) -> None:
    """Start the study and kill all of it a moment after the sign; then take the lock away, as the message says."""
    with started(project, sign) as process:
        time.sleep(1)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    wait_for_none(project)
    refused = project.snakemake()
    assert refused.status != 0
    assert "--unlock" in refused.text
    assert project.snakemake("--unlock").status == 0


@pytest.mark.slow
def test_after_kills_the_same_command_gives_the_same_results(project: Project, finished: Project) -> None:
    project.study["select"] = ["kv_cache", "target_only"]
    model, log = project.root / "results/models/small", project.root / "results/logs/generate/kv_cache-1.log"
    shutil.rmtree(project.root / "results/generations/kv_cache")
    shutil.rmtree(model)
    log.unlink()
    kill(project, (model / ".partial").exists)
    assert not (model / "manifest.json").exists()
    kill(project, log.exists)
    assert not (project.root / "results/generations/kv_cache/run-1/run.json").exists()

    outcome = project.snakemake()
    assert outcome.status == 0, outcome.text
    assert tokens(project, "kv_cache") == tokens(finished, "kv_cache")
    before = finished.root / "results/models/small"
    assert read(model / "manifest.json")["weights_digest"] == read(before / "manifest.json")["weights_digest"]
    assert sorted(path.name for path in model.iterdir()) == sorted(path.name for path in before.iterdir())
    assert project.plan() == set()


@pytest.mark.slow
def test_when_snakemake_alone_is_killed_its_jobs_end_and_the_folder_is_unlocked(project: Project) -> None:
    shutil.rmtree(project.root / "results/generations/kv_cache")
    (log := project.root / "results/logs/generate/kv_cache-1.log").unlink()
    scratch = project.root.parent / "scratch"
    scratch.mkdir()
    project.environment["TMPDIR"] = str(scratch)
    project.study["select"] = ["kv_cache"]
    ready = [sys.executable, "-m", "scripts.ready"]
    with started(project, lambda: log.exists() and any(scratch.glob("udaciheadline-run-*/request.json"))) as process:
        busy = run(ready, project.root, project.environment)
        assert "another Snakemake works in" in busy.error
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        wait_for_none(project)
    assert not any(scratch.glob("udaciheadline-run-*"))
    outcome = run(ready, project.root, project.environment)
    assert (outcome.status, "Unlocked" in outcome.text) == (0, True), outcome.text
    assert project.snakemake("results/metrics/kv_cache.json").status == 0


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_said_before_anything_runs(project: Project) -> None:
    shutil.rmtree(project.root / "results/metrics/text")
    results = str(project.root / "results")
    script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 77; shift; exec "$@"'
    inside = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    outcome = run([*inside, "sh", "-c", script, "sh", results, *project.command()], project.root, project.environment)
    if outcome.status == 77 or "unshare" in outcome.text:
        pytest.skip(f"this machine lets nothing be mounted: {outcome.text.strip()}")
    assert outcome.status == 1
    assert f"{results} can't be written" in outcome.error


@pytest.mark.slow
def test_after_an_interrupt_the_same_command_goes_on(project: Project) -> None:
    """Ctrl-C in a terminal: every process of the group is told, no lock is left."""
    project.study["select"] = ["kv_cache"]
    shutil.rmtree(project.root / "results/generations/kv_cache")
    log = project.root / "results/logs/generate/kv_cache-1.log"
    log.unlink()
    with started(project, log.exists) as process:
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) != 0
    said = (project.root / "first run.log").read_text(encoding="utf-8").splitlines()
    assert said[-1] == "Interrupted; the jobs are ended, and the same command goes on from here."
    assert not [line for line in said if line.startswith("error")]
    wait_for_none(project)
    assert {"generate:kv_cache", "score:kv_cache"} <= project.plan()
    assert "Directory cannot be locked" not in project.snakemake("results/metrics/nf4.json").text
