"""A real Slurm on this machine's loopback: a controller and a node, without accounting, for tests that submit jobs.

Files stand in for GPUs: Slurm counts them as its generic resources, and tells jobs which they got, as for real ones.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMMANDS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
NEEDED = ("munged", "slurmctld", "slurmd", *COMMANDS)
STARTS_S = 30.0
CORES = 16  # that the node says it has; more than it may have, so that jobs of several cores run at a time

CONFIGURATION = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MinJobAge=600
KillWait=5
InactiveLimit=0
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName=here NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=64000 Gres=gpu:{gpus} State=UNKNOWN
PartitionName=few Nodes=here Default=YES MaxTime=INFINITE State=UP
PartitionName=other Nodes=here MaxTime=INFINITE State=UP
"""


def lacking() -> str | None:
    """Why no Slurm can be started here, in a sentence; None where one can."""
    missing = [program for program in NEEDED if _program(program) is None]
    if missing:
        return f"needs Slurm and munge, of which {', '.join(missing)} is not installed (apt install slurm-wlm munge)"
    if os.geteuid() != 0:
        return "a Slurm of its own is started by root alone"
    return None


@dataclass
class Slurm:
    """A running cluster.

    Attributes:
        folder: of its files and logs.
        environment: variables with which Slurm's commands find it.
    """

    folder: Path
    environment: dict[str, str]

    def command(self, *words: str) -> str:
        """Run one of Slurm's commands, and return what it prints."""
        done = subprocess.run(
            words, env=os.environ | self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr or done.stdout}"
        return done.stdout.strip()

    def jobs(self) -> dict[str, tuple[str, str]]:
        """State and comment of each job that Slurm knows, ended ones too, by its number."""
        lines = self.command("squeue", "--states=all", "--noheader", "--format=%i|%T|%k").splitlines()
        return {number: (state, comment) for number, state, comment in (line.split("|", 2) for line in lines)}

    def submit(self, script: str, *options: str, environment: dict[str, str] | None = None) -> str:
        """Run a script as a job to its end; returns what it printed."""
        output = self.folder / "job-%j.out"
        words = ["sbatch", "--parsable", "--wait", f"--output={output}", *options, "--wrap", script]
        done = subprocess.run(
            words, env=os.environ | self.environment | (environment or {}), capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        number = done.stdout.strip()
        assert number, done.stderr
        return Path(str(output).replace("%j", number)).read_text(encoding="utf-8")


@contextlib.contextmanager
def running(folder: Path, gpus: int = 4) -> Iterator[Slurm]:
    """Start a cluster with these GPUs; in the end it is stopped, with all its jobs."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("state", "spool", "devices"):
        (folder / name).mkdir()
    for number in range(gpus):
        # As /dev/null is: Slurm tells jobs the number of a device, and of nothing else.
        os.mknod(folder / "devices" / f"gpu{number}", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    host, (controller, node) = socket.gethostname().partition(".")[0], _free_ports(2)
    text = CONFIGURATION.format(host=host, folder=folder, controller=controller, node=node, cores=CORES, gpus=gpus)
    configuration = folder / "slurm.conf"
    configuration.write_text(text, encoding="utf-8")
    devices = f"Name=gpu File={folder}/devices/gpu[0-{gpus - 1}]\n"
    (folder / "gres.conf").write_text(devices, encoding="utf-8")
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    slurm = Slurm(folder, {"SLURM_CONF": str(configuration), "PATH": f"{_commands(folder, configuration)}:{_path()}"})
    with contextlib.ExitStack() as started:
        _start(started, slurm, [
            _program("munged"), "--foreground", "--force", f"--socket={folder}/munge.socket", f"--key-file={key}",
            f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed",
        ])  # fmt: skip
        _wait(slurm, (folder / "munge.socket").exists)
        _start(started, slurm, [_program("slurmctld"), "-D", "-f", str(configuration)])
        _start(started, slurm, [_program("slurmd"), "-D", "-f", str(configuration), "-N", "here"])
        _wait(slurm, lambda: _is_idle(slurm))
        started.callback(_cancel_all, slurm)
        yield slurm


def _commands(folder: Path, configuration: Path) -> Path:
    """A folder of Slurm's commands that find the cluster: executors drop Slurm's variables from their environment."""
    programs = folder / "bin"
    programs.mkdir()
    for name in COMMANDS:
        script = programs / name
        script.write_text(f'#!/bin/sh\nSLURM_CONF={configuration} exec {_program(name)} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    return programs


def _start(started: contextlib.ExitStack, slurm: Slurm, command: list[str]) -> None:
    log = started.enter_context((slurm.folder / f"{Path(command[0]).name}.out").open("wb"))
    process = subprocess.Popen(
        command, env=os.environ | slurm.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    started.callback(_stop, process)


def _stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _cancel_all(slurm: Slurm) -> None:
    """End all jobs, so that no process of one outlives the cluster."""
    with contextlib.suppress(AssertionError, OSError, subprocess.SubprocessError):
        slurm.command("scancel", "--user=root")
        _wait(slurm, lambda: not slurm.command("squeue", "--noheader"))


def _is_idle(slurm: Slurm) -> bool:
    with contextlib.suppress(AssertionError):
        return slurm.command("sinfo", "--noheader", "--nodes=here", "--partition=few", "--format=%T") == "idle"
    return False


def _wait(slurm: Slurm, sign) -> None:
    deadline = time.monotonic() + STARTS_S
    while not sign():
        logs = {path.name: path.read_text(errors="replace")[-2000:] for path in slurm.folder.glob("*.log")}
        assert time.monotonic() < deadline, f"Slurm does not start: {logs}"
        time.sleep(0.1)


def _program(name: str) -> str | None:
    return shutil.which(name, path=_path())


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
