"""A server is started on a free port and ends with all that it started, whichever process is killed."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from scripts.serving import executables, guard, launch, proof
from scripts.serving.errors import MissingServerError, ServerError, ServerOutOfMemoryError, WrongModelError
from scripts.serving.launch import Values, launched
from scripts.serving.running import ServerSpec
from tests.support import served

ROOT = Path(__file__).resolve().parents[3]
VALUES = Values(model="any")


def gone(mark, seconds=8.0):
    until = time.monotonic() + seconds
    while guard.marked(mark) and time.monotonic() < until:
        time.sleep(0.02)
    return not guard.marked(mark)


def ended(process, seconds=8.0):
    """Whether a process has ended, and perhaps waits for a parent that reads its status."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if psutil.Process(process).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def shell(script, **extra):
    """A preset whose server is a shell script."""
    return ServerSpec(served.preset() | {"executable": "/bin/sh", "command": ["{executable}", "-c", script]} | extra)


def test_a_server_is_asked_while_the_block_runs_and_gone_after_it(tmp_path):
    log = tmp_path / "logs" / "server.log"
    signs = []
    with launched(served.spec(), VALUES, log, lambda: signs.append(1)) as running:
        assert running.alive()
        assert running.version == "1.2.3"
        assert running.pid in running.processes()
        assert running.facts["start_s"] > 0
        assert running.tree_memory()[0] > 1_000_000
        before = running.metrics()
        found = proof.collect(running, before, running.metrics(), [])
        mark = running.mark
    assert found["proved"]["version"]["read"] == '/version: version is "1.2.3"'
    assert [entry["name"] for entry in found["unproved"]] == ["greedy decoding"]
    assert signs
    assert gone(mark, 0.0)
    assert not running.alive()


def test_what_a_server_says_against_the_settings_is_refused(tmp_path):
    preset = served.preset()
    preset["proves"][1]["value"] = "9"
    with (
        launched(ServerSpec(preset), VALUES, tmp_path / "log") as running,
        pytest.raises(proof.ContradictedError, match=r'/version says that version is "1.2.3" and not "9"'),
    ):
        proof.collect(running, running.metrics(), running.metrics(), [])


def test_a_server_that_ends_early_is_told_with_its_last_line(tmp_path):
    log = tmp_path / "log"
    with pytest.raises(ServerError) as error, launched(served.spec(exit_at_start="no such flag --x"), VALUES, log):
        pass
    assert str(error.value) == (
        f"test server ended with status 3 before it was ready; its last line is: no such flag --x; "
        f"what it wrote is in {log}."
    )


def test_a_server_that_runs_out_of_memory_is_told_apart(tmp_path):
    spec = shell("echo 'torch.OutOfMemoryError: CUDA out of memory. Tried' >&2; echo later >&2; exit 1")
    with pytest.raises(ServerOutOfMemoryError, match=r"its last line is: torch\.OutOfMemoryError"):
        launched(spec, VALUES, tmp_path / "log").__enter__()
    spec = shell("echo my own words; exit 1", out_of_memory=["my own words"])
    with pytest.raises(ServerOutOfMemoryError):
        launched(spec, VALUES, tmp_path / "log").__enter__()


def test_a_server_that_is_never_ready_is_ended(tmp_path):
    spec = served.spec(ready_limit_s=1.0, never_ready=True)
    with pytest.raises(ServerError, match=r"was not ready within 1 s \(.* raise engine.ready_limit_s"):
        launched(spec, VALUES, tmp_path / "log").__enter__()
    assert not [each for each in psutil.Process().children(recursive=True) if "sse_server" in " ".join(each.cmdline())]


def test_a_missing_program_says_how_to_install_it(tmp_path):
    preset = served.preset() | {"executable": "no-such-server", "install": "install it with care"}
    with pytest.raises(MissingServerError, match=r"no-such-server of test server is not there; install it with care\."):
        launched(ServerSpec(preset), VALUES, tmp_path / "log").__enter__()


def test_another_model_is_refused(tmp_path):
    preset = served.preset(model="theirs") | {"served_model": {"path": "/v1/models", "field": "data.*.id"}}
    with pytest.raises(WrongModelError, match=r"serves theirs, and the study asks for any"):
        launched(ServerSpec(preset), VALUES, tmp_path / "log").__enter__()


def test_a_port_that_is_taken_meanwhile_is_replaced(tmp_path, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = [taken.getsockname()[1], *[launch.free_port() for _ in range(2)]]
        monkeypatch.setattr(launch, "free_port", lambda: ports.pop(0))
        with launched(served.spec(), VALUES, tmp_path / "log") as running:
            assert running.facts["port"] != taken.getsockname()[1]


def test_an_answer_of_another_program_on_the_port_is_not_taken_for_the_servers(tmp_path, monkeypatch):
    with served.sse_server.started() as other:
        monkeypatch.setattr(launch, "free_port", lambda: other.port)
        with pytest.raises(ServerError, match="was taken by another program"):
            launched(shell("sleep 60"), VALUES, tmp_path / "log").__enter__()


def test_processes_that_leave_the_group_end_too(tmp_path):
    script = f"setsid sleep 1000 & exec {sys.executable} -m tests.support.sse_server --port $1"
    preset = served.preset() | {"executable": "/bin/sh", "command": ["{executable}", "-c", script, "sh", "{port}"]}
    with launched(ServerSpec(preset), VALUES, tmp_path / "log") as running:
        assert len(running.processes()) == 2
    assert gone(running.mark, 0.0)


def test_a_server_that_ignores_the_request_to_end_is_killed(tmp_path, monkeypatch):
    script = "trap '' TERM; " + f"{sys.executable} -m tests.support.sse_server --port $1 & while :; do sleep 0.1; done"
    preset = served.preset() | {"executable": "/bin/sh", "command": ["{executable}", "-c", script, "sh", "{port}"]}
    monkeypatch.setattr(guard, "END_S", 0.2)
    with launched(ServerSpec(preset), VALUES, tmp_path / "log") as running:
        mark = running.mark
    assert gone(mark, 0.0)


HOLDER = """
import sys, time
from pathlib import Path
from tests.support import served
from scripts.serving.launch import Values, launched
with launched(served.spec(), Values(model="any"), Path(sys.argv[1])) as running:
    print(running.mark, running.process.pid, running.pid, flush=True)
    while running.alive():
        time.sleep(0.02)
    print(running.ended(), flush=True)
"""


@pytest.mark.parametrize("killed", ["holder", "guard", "server"])
def test_nothing_is_left_whichever_process_is_killed(killed, tmp_path):
    script = tmp_path / "holder.py"
    script.write_text(textwrap.dedent(HOLDER))
    holder = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "log")], stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    mark, guarding, server = holder.stdout.readline().split()
    os.kill({"holder": holder.pid, "guard": int(guarding), "server": int(server)}[killed], signal.SIGKILL)
    said = holder.communicate(timeout=15)[0]
    assert gone(mark)
    assert ended(int(guarding))
    if killed == "server":
        assert "test server was killed (signal 9) while it was asked" in said


def test_programs_that_a_server_starts_by_name_are_those_of_its_own_environment(tmp_path):
    folder = tmp_path / "env" / "bin"
    folder.mkdir(parents=True)
    for name, text in (("serve", "#!/bin/sh\nexec helper\n"), ("helper", "#!/bin/sh\necho I am the helper\nexit 1\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    preset = served.preset() | {"executable": str(folder / "serve"), "command": ["{executable}"]}
    with pytest.raises(ServerError, match="its last line is: I am the helper"):
        launched(ServerSpec(preset), VALUES, tmp_path / "log").__enter__()


def test_a_program_is_known_by_its_packages_version_or_its_content(tmp_path):
    program = tmp_path / "env" / "bin" / "serve"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    first = executables.identity(str(program), "My-Server")
    program.write_text("#!/bin/sh\nexit\n")
    assert executables.identity(str(program), "My-Server")["digest"] != first["digest"]
    (tmp_path / "env" / "lib" / "python3.12" / "site-packages" / "my_server-1.5.dist-info").mkdir(parents=True)
    assert executables.identity(str(program), "My-Server") == {"program": "serve", "version": "My-Server 1.5"}
    assert executables.identity("no-such-program", None) == {"program": "no-such-program", "missing": True}
