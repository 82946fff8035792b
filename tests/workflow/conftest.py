"""The tiny study, finished or as if it were: made once, then copied for every test that changes something."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import pytest
from filelock import FileLock

from tests.workflow.project import FEW, TINY, Outcome, Project


def made_once(name: str, factory: pytest.TempPathFactory, make: Callable[[Path], Outcome]) -> Path:
    """Return the folder of a project that the first test that needs it makes, in any process, and all others share."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, failure, done = base / name, base / f"{name}.failure", base / f"{name}.done"
    with FileLock(base / f"{name}.lock"):
        if not done.exists() and not failure.exists():
            outcome = make(folder)
            (failure if outcome.status else done).write_text(outcome.text, encoding="utf-8")
    if failure.exists():
        pytest.fail(f"the tiny study did not run:\n{failure.read_text(encoding='utf-8')}", pytrace=False)
    return folder


def run_all(project: Project) -> Outcome:
    """Run the study. Nobody reads these timings, so two techniques may run side by side."""
    return project.snakemake("--set-threads", "generate=1", "prepare_model=1", timeout=1800)


def of_few(folder: Path) -> Project:
    """Return the study of this folder with a few of its techniques."""
    return Project(folder, deepcopy(TINY) | {"select": FEW})


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A few techniques of the study as they stand after their run; not to be changed."""

    def make(folder: Path) -> Outcome:
        Project.create(folder)
        return run_all(of_few(folder))

    return of_few(made_once("finished", tmp_path_factory, make))


@pytest.fixture(scope="session")
def shown(finished: Project) -> str:
    """What the terminal showed while the finished study ran."""
    return finished.root.with_name("finished.done").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def whole(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The whole study as it stands after its run, for slow tests; not to be changed."""

    def make(folder: Path) -> Outcome:
        return run_all(Project(finished.copy(folder).root))

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
def fresh(tmp_path: Path) -> Iterator[Project]:
    """The project with the tiny study and no results."""
    yield Project.create(tmp_path / "project")
    shutil.rmtree(tmp_path, ignore_errors=True)
