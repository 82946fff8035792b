"""The study on a cluster: a real Slurm on this machine's loopback, with the profile for Slurm."""

import json
import subprocess
import sys
import time

import psutil
import pytest

from tests.support import slurm
from tests.workflow.project import ROOT, Project, clean_environment, run

pytestmark = pytest.mark.slow
LIMIT_S = 300
# Apart from the other libraries: where it is installed, every call of Snakemake imports it, and pandas with it.
PLUGIN = ROOT / ".slurm"
QUICK = ("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if reason := slurm.lacking():
        pytest.skip(reason)
    if not PLUGIN.is_dir():
        pytest.skip("needs Snakemake's executor for Slurm (make setup-slurm)")
    # A socket's path may have 107 characters.
    with slurm.running(tmp_path_factory.mktemp("s") / "s") as started:
        yield started


@pytest.fixture(scope="module")
def project(cluster, tmp_path_factory):
    made = Project.create(tmp_path_factory.mktemp("cluster") / "project")
    made.study |= {"select": ["baseline", "kv_cache", "graph"]}
    made.study["models"] |= {"large": None}
    made.study["measurement"] |= {"machine": "here", "device": "cpu"}
    made.environment |= cluster.environment | {"PYTHONPATH": str(PLUGIN)}
    return made


def command(project):
    words = project.command("--profile", "profiles/slurm", *QUICK)
    place = words.index("--cores")
    return words[:place] + words[place + 2 :]


def of(cluster, technique, state):
    """The number of a technique's job, once it is in that state."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        for number, (now, comment) in cluster.jobs().items():
            if now == state and comment == f"rule_generate_wildcards_{technique}_1":
                return number
        time.sleep(0.1)
    raise AssertionError(f"no job of {technique} is {state}: {cluster.jobs()}")


def worker(project, technique):
    """The process that a technique's run is timed in, once it is there."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        for process in psutil.process_iter(["cmdline", "cwd"]):
            words = process.info["cmdline"] or []
            asked = f"results/requests/generate/{technique}-1.json"
            if process.info["cwd"] == str(project.root) and {"scripts.generate", asked} <= set(words):
                return process
        time.sleep(0.1)
    raise AssertionError(f"no process runs {technique}")


def test_a_study_survives_jobs_that_are_killed_requeued_and_cancelled(cluster, project):
    with subprocess.Popen(
        command(project), cwd=project.root, env=clean_environment() | project.environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as first:  # fmt: skip
        worker(project, "baseline").kill()
        cluster.command("scancel", of(cluster, "kv_cache", "RUNNING"))
        requeued = of(cluster, "graph", "RUNNING")
        cluster.command("scontrol", "requeue", requeued)
        of(cluster, "graph", "PENDING")
        cluster.command("scontrol", "update", f"JobId={requeued}", "StartTime=now")  # else it waits for two minutes
        text, _ = first.communicate(timeout=LIMIT_S)
    assert first.returncode == 1, text
    failed = [line for line in text.splitlines() if line.startswith("error: ")]
    assert sorted(line.split(":")[1] for line in failed) == [" run 1 of baseline", " run 1 of kv_cache"], text
    assert "Traceback" not in text
    assert "run 1 of graph" in "".join(line for line in text.splitlines() if "/15" in line), text
    left = [process.info["cmdline"] for process in psutil.process_iter(["cmdline", "cwd"])
            if process.info["cwd"] == str(project.root)]  # fmt: skip
    assert left == []

    second = run(command(project), project.root, project.environment, LIMIT_S)
    assert second.status == 0, second.text
    assert "run 1 of graph" not in second.text
    comparison = json.loads((project.root / "results" / "comparison.json").read_text())
    assert {row["name"]: row["status"] for row in comparison["techniques"]} == dict.fromkeys(
        ("baseline", "kv_cache", "graph"), "ok"
    )
    # The steps that take seconds have no job of their own.
    rules = {comment.removeprefix("rule_").split("_wildcards")[0] for _, comment in cluster.jobs().values()}
    assert rules == {"prepare_model", "generate"}
    assert set(cluster.command("squeue", "--states=all", "--noheader", "--format=%l").split()) == {"2:00:00"}


@pytest.mark.parametrize("key", ["device", "machine"])
def test_what_the_login_node_can_not_know_is_asked_for(cluster, project, key):
    submitted = len(cluster.jobs())
    refused = run(
        [*command(project), "--config", f"measurement={{{key}: auto}}"], project.root, project.environment, timeout=60
    )
    assert refused.error.startswith(f"error: --config: measurement.{key} is auto")
    assert len(cluster.jobs()) == submitted


def test_a_job_leases_the_gpus_that_slurm_gave_it(cluster, project):
    project.fake_gpus(*["NVIDIA H100 80GB HBM3"] * 4)
    environment = clean_environment() | project.environment | {"PROJECT": str(project.root)}
    holder = cluster.command("sbatch", "--parsable", "--gpus=2", "--output=/dev/null", "--wrap", "sleep 60")
    said = f"cd $PROJECT && {sys.executable} -c 'from scripts.inference import leases; print(leases.chosen(\"cuda\"))'"
    try:
        assert cluster.submit(said, "--gpus=1", environment=environment) == "['GPU-pretended-2']\n"
        assert cluster.submit(said, "--gpus=2", environment=environment) == "['GPU-pretended-2', 'GPU-pretended-3']\n"
        # Without `--gpus` Slurm says nothing of GPUs, and the job sees those of the node.
        none = said.replace('leases.chosen("cuda")', "leases.usable(machine.gpus())").replace(
            "import leases", "import leases, machine"
        )
        assert cluster.submit(none, environment=environment) == "[]\n"
    finally:
        cluster.command("scancel", holder)
