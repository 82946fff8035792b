"""What ends with its process: locks of folders, temporary folders, and processes that work for another."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from scripts.foundation import leftovers, locks, modules, parent
from scripts.foundation.errors import StudyError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def start():
    """Starts Python code in a process of its own and waits for its first line; ends all with the test."""
    started = []

    def begin(code, *arguments, **variables):
        command = [sys.executable, "-c", code, *map(str, arguments)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
        return started[-1], started[-1].stdout.readline().strip()

    yield begin
    for process in started:
        process.kill()
        process.communicate()


HOLDER = """
import sys, time
from pathlib import Path
from scripts.foundation import locks
with locks.exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_has_one_writer_until_that_one_ends_however_it_does(tmp_path, start, monkeypatch):
    folder = tmp_path / "technique" / "run-1"
    holder, said = start(HOLDER, folder)
    assert said == "held"
    monkeypatch.setattr(locks, "WAIT_S", 0.1)
    with pytest.raises(StudyError, match=r"another job writes .*run-1; .+\."), locks.exclusive(folder):
        pass
    with locks.exclusive(folder.with_name("run-2")):
        pass
    holder.send_signal(signal.SIGKILL)
    monkeypatch.setattr(locks, "WAIT_S", 10.0)
    with locks.exclusive(folder):
        assert not folder.exists()  # nothing of the lock is among the results


def test_a_file_system_without_locks_is_remarked_on(tmp_path, monkeypatch, caplog):
    def refuse(*_, **__):
        raise NotImplementedError("no flock")

    monkeypatch.setattr(locks.FileLock, "acquire", refuse)
    with locks.exclusive(tmp_path / "run-1"):
        pass
    assert "has no locks" in caplog.text


def test_only_temporary_folders_whose_owner_has_ended_are_removed(tmp_path, start, monkeypatch):
    monkeypatch.setattr(leftovers.tempfile, "tempdir", str(tmp_path))
    code = (
        "import sys, time; from pathlib import Path; from scripts.foundation import leftovers\n"
        "leftovers.hold(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    names = ("ours-live", "ours-dead", "ours-unmarked", "other-dead")
    live, dead, unmarked, other = (tmp_path / name for name in names)
    for folder in (live, dead, unmarked, other):
        folder.mkdir()
    (dead / "rank-0.json").touch()
    (tmp_path / "ours-link").symlink_to(other)
    start(code, live)
    for folder in (dead, other):
        killed, _ = start(code, folder)
        killed.kill()
        killed.wait()
    leftovers.sweep("ours-")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "other-dead", "ours-link", "ours-live", "ours-unmarked",
    ]  # fmt: skip


CHILD = """
from scripts.foundation import parent
parent.end_with_parent()
print("ready", flush=True)
import time
time.sleep(60)
"""
MIDDLE = f"""
import subprocess, sys, time
from scripts.foundation import modules
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], env=modules.environment(), stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def gone(process_id, within=10.0):
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not psutil.pid_exists(process_id) or psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends a child with its parent on Linux alone")
def test_a_worker_ends_with_its_parent(start):
    middle, child = start(MIDDLE)
    middle.kill()
    assert gone(int(child))


def test_a_worker_whose_parent_ended_before_it_asked_ends_at_once(start):
    process, said = start(CHILD, **{parent.PARENT: "1"})
    assert said == ""
    assert process.wait(10) == 1


JOB = """
import os, signal, sys, time
from scripts.foundation import parent
if sys.argv[1] == "portable" and hasattr(os, "pidfd_open"):
    del os.pidfd_open
parent.POLL_S = 0.05
signal.signal(signal.SIGTERM, lambda *_: (print("in good order", flush=True), sys.exit(143)))
parent.end_with_run()
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("way", ["kernel", "portable"])
def test_a_job_ends_in_good_order_when_its_snakemake_is_killed(start, way):
    run, _ = start("import time; print('run', flush=True); time.sleep(60)")
    job, said = start(JOB, way, **{parent.RUN: str(run.pid)})
    assert said == "ready"
    time.sleep(0.1)
    assert job.poll() is None
    run.kill()
    assert job.wait(10) == 143
    assert job.stdout.read() == "in good order\n"


def test_a_started_module_finds_the_project_first(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/elsewhere", str(ROOT)]))
    monkeypatch.setenv(parent.RUN, "1")
    environment = modules.environment()
    assert environment["PYTHONPATH"] == os.pathsep.join([str(ROOT), "/elsewhere"])
    assert parent.RUN not in environment
    assert "-P" in modules.command("scripts.generate")
