"""The finished tiny study: run once, then copied for every test that changes something."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.workflow.project import Project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The study as it stands after its run; not to be changed.

    It is made by the first test that needs it, whichever process that is in, and serves all others.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    project, failure, done = Project(base / "finished"), base / "finished.failure", base / "finished.done"
    with FileLock(base / "finished.lock"):
        if not done.exists() and not failure.exists():
            project = Project.create(project.root)
            # Nobody reads these timings, so two techniques may run side by side.
            outcome = project.snakemake("--set-threads", "generate=1", "prepare_model=1")
            (failure if outcome.status else done).write_text(outcome.text, encoding="utf-8")
    if failure.exists():
        pytest.fail(f"the tiny study did not run:\n{failure.read_text(encoding='utf-8')}", pytrace=False)
    return project


@pytest.fixture(scope="session")
def _to_plan(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return finished.copy(tmp_path_factory.mktemp("planned") / "project")


@pytest.fixture
def planned(_to_plan: Project) -> Iterator[Project]:
    """A copy of the finished study to change and plan, not to run: what was changed is put back for the next test."""
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
