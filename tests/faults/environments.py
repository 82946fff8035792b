"""What can be wrong around a study: disks, limits, clocks, processes, other calls; each for one call of a copy."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import psutil

from tests.faults import killed_study
from tests.workflow.project import Outcome, Project, clean_environment, run

SELECT = ["baseline", "kv_cache", "nf4", "tensor_parallel"]
# Put first on the path of a study's processes, to do something to those of its stages.
_SITE = """
import sys
words = getattr(sys, "orig_argv", [])
if any(word.startswith("scripts.") for word in words):
    {act}
"""
_CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
/* Every other second it is yesterday. */
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(clock, now);
    if (clock == CLOCK_REALTIME && now->tv_sec % 2) now->tv_sec -= 86400;
    return status;
}
"""


class Skip(Exception):
    """This machine can't make the fault; the message says why."""


def call(project: Project) -> list[str]:
    """What ``make report`` runs, as one command."""
    script = f'{sys.executable} -m scripts.ready && exec "$@"'
    return ["sh", "-c", script, "sh", *project.command(*killed_study.SIDE_BY_SIDE)]


def plain(project: Project, random: Random) -> Outcome:
    """Nothing is wrong."""
    return run(call(project), project.root, project.environment)


def full_disk(project: Project, random: Random) -> Outcome:
    """The disk of the results has room for a part of what is to be written, then for all."""
    if shutil.which("unshare") is None:
        raise Skip("a small disk needs unshare")
    results, kept = project.root / "results", project.root / "kept results"
    used = sum(path.stat().st_blocks * 512 for path in results.rglob("*"))
    results.rename(kept)
    results.mkdir()
    size = used + random.choice([0, 20_000, 80_000, 300_000, 1_000_000])
    script = 'mount -t tmpfs -o size="$1" tmpfs results && cp -a "kept results/." results/ || exit 77; shift; "$@"'
    ending = 's=$?; rm -rf "kept results"; mkdir "kept results"; cp -a results/. "kept results/"; exit $s'
    inside = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    command = [*inside, "sh", "-c", f"{script}; {ending}", "sh", str(size + 65_536), *call(project)]
    outcome = run(command, project.root, project.environment)
    results.rmdir()
    kept.rename(results)
    if outcome.status == 77 or "unshare failed" in outcome.text:
        raise Skip(f"no small disk can be mounted: {outcome.text.strip()[-80:]}")
    return outcome


def small_files(project: Project, random: Random) -> Outcome:
    """No file of a stage may be larger than a limit (``ulimit -f``)."""
    size = random.choice([0, 1_000, 10_000, 100_000])
    act = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"
    return _with_site(project, act)


def little_memory(project: Project, random: Random) -> Outcome:
    """Each process of a stage has an address space too small for what it does."""
    size = random.choice([200, 400, 800, 1500, 2500, 4000]) * 2**20
    act = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({size}, {size}))"
    return _with_site(project, act)


def few_files(project: Project, random: Random) -> Outcome:
    """Each process of a stage may have few files open."""
    count = random.choice([8, 16, 32, 64])
    return _with_site(project, f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({count}, {count}))")


def _with_site(project: Project, act: str) -> Outcome:
    folder = project.root.parent / f"{project.root.name}-site"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(_SITE.format(act=act), encoding="utf-8")
    return run(call(project), project.root, project.environment | {"PYTHONPATH": str(folder)})


def read_only(project: Project, random: Random) -> Outcome:
    """A folder of the results can't be written."""
    if shutil.which("unshare") is None:
        raise Skip("a read-only folder needs unshare")
    folders = [path for path in (project.root / "results").rglob("*") if path.is_dir()]
    folder = str(random.choice([project.root / "results", *folders]))
    script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 77; shift; exec "$@"'
    inside = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    outcome = run([*inside, "sh", "-c", script, "sh", folder, *call(project)], project.root, project.environment)
    if outcome.status == 77 or "unshare failed" in outcome.text:
        raise Skip(f"nothing can be mounted: {outcome.text.strip()[-80:]}")
    return outcome


def removed_half_way(project: Project, random: Random) -> Outcome:
    """Somebody removes the results, or a part of them, while the study runs."""
    results = project.root / "results"

    def act(process: subprocess.Popen) -> None:
        parts = [results, *(path for path in results.iterdir() if path.is_dir())]
        shutil.rmtree(random.choice(parts), ignore_errors=True)

    return _meanwhile(project, act, random.uniform(2, 10))


def two_calls(project: Project, random: Random) -> Outcome:
    """The same command is called a second time while it runs."""
    said = []

    def act(process: subprocess.Popen) -> None:
        # Of the two that begin together, either may come first.
        said.append(run(call(project), project.root, project.environment))

    outcome = _meanwhile(project, act, random.choice([0.0, 0.2, 1.0, 3.0]))
    second = said[0] if said else Outcome(0, "")
    return Outcome(max(outcome.status, second.status), outcome.text + second.text)


def clock_set_back(project: Project, random: Random) -> Outcome:
    """Every other second the clock is a day back; files have times of the future, too."""
    if shutil.which("gcc") is None:
        raise Skip("a wrong clock needs gcc")
    library = project.root.parent / f"{project.root.name}-clock.so"
    compiled = ["gcc", "-shared", "-fPIC", "-o", str(library), "-x", "c", "-", "-ldl"]
    subprocess.run(compiled, input=_CLOCK.encode(), check=True)
    for path in random.sample(sorted(path for path in (project.root / "results").rglob("*") if path.is_file()), 5):
        os.utime(path, (time.time() + 86_400,) * 2)
    return run(call(project), project.root, project.environment | {"LD_PRELOAD": str(library)})


def stopped_worker(project: Project, random: Random) -> Outcome:
    """A rank stops for good, and its run has a limit of time."""
    project.study["measurement"]["time_limit_s"] = 8
    return _at_worker(project, random, signal.SIGSTOP)


def dead_worker(project: Project, random: Random) -> Outcome:
    """A rank dies."""
    return _at_worker(project, random, random.choice([signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT]))


def _at_worker(project: Project, random: Random, number: signal.Signals) -> Outcome:
    shutil.rmtree(project.root / "results/generations/tensor_parallel", ignore_errors=True)

    def act(process: subprocess.Popen) -> None:
        while process.poll() is None:
            with contextlib.suppress(psutil.Error):
                found = psutil.Process(process.pid).children(recursive=True)
                ranks = [each for each in found if killed_study.kind(each) == "rank"]
                if ranks:
                    time.sleep(random.uniform(0, 3))
                    random.choice(ranks).send_signal(number)
                    return
            time.sleep(0.05)

    return _meanwhile(project, act, 0)


def _meanwhile(project: Project, act: Callable[[subprocess.Popen], None], after_s: float) -> Outcome:
    log = project.root.parent / f"{project.root.name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            call(project), cwd=project.root, env=clean_environment() | project.environment,
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        time.sleep(after_s)
        act(process)
        return Outcome(process.wait(timeout=300), log.read_text(encoding="utf-8", errors="replace"))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


FAULTS = (full_disk, small_files, little_memory, few_files, read_only, removed_half_way, two_calls, clock_set_back,
          stopped_worker, dead_worker)  # fmt: skip


# What is known to stop the next call too: of files dated ahead of the clock Snakemake says that it must be corrected.
KNOWN = (clock_set_back,)


def create(root: Path) -> Project:
    """The project with a study of four techniques."""
    project = killed_study.create(root)
    del project.study["load"]
    project.study["select"] = SELECT
    return project
