"""A copy of the project with a tiny study, for tests that run Snakemake itself."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.workflow import planner

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "rules", "scripts", "config", "report", "profiles", "envs")
TINY = yaml.safe_load((Path(__file__).parent / "tiny.yaml").read_text(encoding="utf-8"))
CORES = 2
# One technique a facet or engine at least: what the finished study ran; the whole study is the rest on top of it.
FEW = ["baseline", "kv_cache", "pruned", "nf4", "tensor_parallel", "target_only", "speculative", "batch_32",
       "continuous_batch", "graph"]  # fmt: skip


@dataclass
class Outcome:
    """What a command left: its exit status, everything it wrote to stdout and stderr, and of a dry run the jobs."""

    status: int
    text: str
    jobs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def errors(self) -> list[str]:
        """The project's own error sentences, each once."""
        found = re.findall(r"^\s*(error: .*)$", self.text, re.MULTILINE)
        return list(dict.fromkeys(found))

    @property
    def planned(self) -> dict[str, dict[str, Any]]:
        """The jobs of a dry run as ``rule`` or ``rule:wildcard``, with what Snakemake tells of each."""
        jobs = {}
        for job in self.jobs:
            name = next(iter(job["wildcards"].values()), None)
            jobs[f"{job['rule_name']}:{name}" if name else job["rule_name"]] = job
        return jobs

    @property
    def error(self) -> str:
        """The one sentence of a command that failed as it should: no other and no traceback beside it."""
        assert self.status not in (0, None), self.text
        assert "Traceback" not in self.text, self.text
        assert len(self.errors) == 1, self.text
        assert self.errors[0].endswith("."), self.text
        return self.errors[0]


@dataclass
class Project:
    """A project folder, the study in it, and the environment in which its commands run."""

    root: Path
    study: dict[str, Any] = field(default_factory=lambda: deepcopy(TINY))
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls, root: Path) -> "Project":
        """Copy the project's files; results and caches stay behind."""
        root.mkdir(parents=True)
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, root / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, root / part)
        return cls(root)

    def copy(self, root: Path) -> "Project":
        """Copy everything, results and Snakemake's records too, with modification times."""
        shutil.copytree(self.root, root, symlinks=True)
        return Project(root, deepcopy(self.study), dict(self.environment))

    def sources(self) -> dict[Path, tuple[bytes, int]]:
        """Content and time of each of the project's own files and of the results."""
        found = [self.root / part for part in (*PARTS, "results")]
        files = [path for part in found for path in (part.rglob("*") if part.is_dir() else [part])]
        kept = [path for path in files if path.is_file() and "__pycache__" not in path.parts]
        return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in kept}

    def put_back(self, sources: dict[Path, tuple[bytes, int]]) -> None:
        """Give files the content and time that they had, and remove others."""
        now = self.sources()
        for path in now.keys() - sources.keys():
            path.unlink()
        for path in (path for path in sources if now.get(path) != sources[path]):
            path.write_bytes(sources[path][0])
            os.utime(path, ns=(sources[path][1],) * 2)

    def snakemake(self, *arguments: str, timeout: float = 600, cores: int = CORES) -> Outcome:
        """Run Snakemake on the study, in the project's folder."""
        command = self.command(*arguments, cores=cores)
        return run(command, self.root, self.environment, timeout)

    def command(self, *arguments: str, cores: int = CORES) -> list[str]:
        """Build the command line that runs the study as it is now."""
        (self.root / "study.yaml").write_text(yaml.safe_dump(self.study, sort_keys=False), encoding="utf-8")
        study = str(self.root / "study.yaml")
        return [sys.executable, "-m", "snakemake", *arguments, "--cores", str(cores), "--configfile", study]

    def plan(self, *arguments: str) -> set[str]:
        """Name the jobs that the command would run, each as ``rule`` or ``rule:wildcard``; the target rule left out."""
        outcome = self.dry_run(*arguments)
        assert outcome.status == 0, outcome.text
        jobs = set(outcome.planned)
        assert bool(jobs) != ("Nothing to be done" in outcome.text), outcome.text
        return jobs - {"all"}

    def dry_run(self, *arguments: str) -> Outcome:
        """Plan the study, or fail to, in a fork of a process that has Snakemake imported."""
        command = self.command("--dry-run", *arguments)[3:]
        return Outcome(*planner.run(command, self.root, clean_environment() | self.environment, timeout=600))

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text that is in a file."""
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        assert old in text, f"{path} has no {old!r}"
        file.write_text(text.replace(old, new), encoding="utf-8")

    def append(self, path: str, text: str) -> None:
        """Add text to the end of a file."""
        with (self.root / path).open("a", encoding="utf-8") as handle:
            handle.write(text)

    def shadow(self, name: str, version: str) -> None:
        """Let a library seem to have another version, for the workflow and its jobs."""
        record = self.root.parent / f"{self.root.name}-shadows" / name / f"{name}-{version}.dist-info" / "METADATA"
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
        self._first_on_path(record.parents[1])

    def fake_gpus(self, *names: str) -> None:
        """Let the machine seem to have these GPUs and no other, through a stand-in for NVIDIA's library."""
        folder = self.root.parent / f"{self.root.name}-gpus"
        folder.mkdir(exist_ok=True)
        (folder / "pynvml.py").write_text(_PYNVML.format(names=list(names)), encoding="utf-8")
        self._first_on_path(folder)

    def _first_on_path(self, folder: Path) -> None:
        paths = [str(folder), *filter(None, [self.environment.get("PYTHONPATH")])]
        self.environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))


def run(command: list[str], folder: Path, environment: dict[str, str], timeout: float = 600) -> Outcome:
    """Run a command to its end."""
    done = subprocess.run(
        command, cwd=folder, env=clean_environment() | environment, timeout=timeout,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return Outcome(done.returncode, done.stdout.decode("utf-8", errors="replace"))


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what could lead a job elsewhere; the hub can't be reached."""
    dropped = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "CUDA_VISIBLE_DEVICES", "SNAKEMAKE_PROFILE")
    kept = {key: value for key, value in os.environ.items() if key not in dropped and not key.startswith("HF_")}
    return kept | {"HF_HUB_OFFLINE": "1"}


def techniques() -> list[str]:
    """Return the tiny study's techniques."""
    return list(TINY["select"])


def jobs(rule: str, names: Iterable[str]) -> set[str]:
    """Return a rule's jobs for these techniques or models."""
    return {f"{rule}:{name}" for name in names}


_PYNVML = """
NAMES = {names}


class NVMLError(Exception):
    pass


class Memory:
    total = 16 * 2**30


def nvmlInit():
    pass


nvmlShutdown = nvmlInit


def nvmlSystemGetDriverVersion():
    return "1.0"


def nvmlDeviceGetCount():
    return len(NAMES)


def nvmlDeviceGetHandleByIndex(index):
    return index


def nvmlDeviceGetUUID(index):
    return f"GPU-pretended-{{index}}"


def nvmlDeviceGetName(index):
    return NAMES[index]


def nvmlDeviceGetMemoryInfo(index):
    return Memory
"""
