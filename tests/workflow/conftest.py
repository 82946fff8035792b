"""The tiny study, finished or as if it were: made once, then copied for every test that changes something."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import pytest
from filelock import FileLock

from scripts.study import import_facts
from tests.workflow.project import FEW, TINY, Outcome, Project

# A secret of the environment, which nothing that the study writes may hold.
TOKEN = "hf_planted0123456789token"
# Nobody reads these timings.
SIDE_BY_SIDE = ("--set-threads", "generate=1", "prepare_model=1")


def shared(factory: pytest.TempPathFactory) -> Path:
    """Return the temporary folder that all processes of this session see."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def made_once(name: str, factory: pytest.TempPathFactory, make: Callable[[Path], Outcome]) -> Path:
    """Return the folder of a project that the first test that needs it makes, in any process, and all others share."""
    base = shared(factory)
    folder, failure, done = base / name, base / f"{name}.failure", base / f"{name}.done"
    with FileLock(base / f"{name}.lock"):
        if not done.exists() and not failure.exists():
            outcome = make(folder)
            (failure if outcome.status else done).write_text(outcome.text, encoding="utf-8")
    if failure.exists():
        pytest.fail(f"the tiny study did not run:\n{failure.read_text(encoding='utf-8')}", pytrace=False)
    return folder


def of_few(folder: Path) -> Project:
    """Return the study of this folder with a few of its techniques."""
    return Project(folder, deepcopy(TINY) | {"select": FEW})


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A few techniques of the study as they stand after their run; not to be changed."""

    def make(folder: Path) -> Outcome:
        Project.create(folder)
        project = of_few(folder)
        project.environment |= {"HF_TOKEN": TOKEN, "OPENAI_API_KEY": TOKEN}
        return project.snakemake(*SIDE_BY_SIDE, timeout=1800)

    return of_few(made_once("finished", tmp_path_factory, make))


@pytest.fixture(scope="session")
def shown(finished: Project) -> str:
    """What the terminal showed while the finished study ran."""
    return finished.root.with_name("finished.done").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def whole(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The finished study with the runs of all techniques, not scored, for slow tests; not to be changed."""

    def make(folder: Path) -> Outcome:
        runs = [f"results/generations/{name}/run-1/run.json" for name in TINY["select"] if name not in FEW]
        return Project(finished.copy(folder).root).snakemake(*runs, *SIDE_BY_SIDE, timeout=1800)

    return Project(made_once("whole", tmp_path_factory, make))


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The study as if it had run: its files say nothing, Snakemake's records of what each depends on are real."""

    def make(folder: Path) -> Outcome:
        project = Project.create(folder)
        for path in (folder / name for job in project.dry_run().jobs for name in job["output"]):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"status": "ok"}), encoding="utf-8")
        return project.snakemake("--touch", "--forceall")

    return Project(made_once("recorded", tmp_path_factory, make))


@pytest.fixture(scope="session")
def _to_plan(recorded: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return recorded.copy(tmp_path_factory.mktemp("planned") / "project")


@pytest.fixture
def planned(_to_plan: Project) -> Iterator[Project]:
    """A copy of the recorded study to change and plan, not to run: sources and results are put back afterwards."""
    before = _to_plan.sources()
    yield Project(_to_plan.root)
    _to_plan.put_back(before)


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Iterator[Project]:
    """A copy of the finished study, results and all."""
    copy = finished.copy(tmp_path / "project")
    yield copy
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
def fresh(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project with the tiny study and no results; what one has found of the code's imports, the next one knows."""
    made = Project.create(tmp_path / "project")
    own, known = made.root / import_facts.CACHE_FILE, shared(tmp_path_factory) / "imports.json"
    own.parent.mkdir()
    if known.exists():
        shutil.copy(known, own)
    yield made
    if own.exists() and not known.exists():
        os.replace(own, known)
    shutil.rmtree(tmp_path, ignore_errors=True)
