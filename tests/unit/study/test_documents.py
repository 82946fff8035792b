"""What the documents name exists: modules, tests, study files."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MEASURING = (ROOT / "docs" / "measuring.md").read_text(encoding="utf-8")
NAMED_TESTS = sorted(set(re.findall(r"`((?:unit|workflow)/[\w/]+\.py)::(\w+)`", MEASURING)))
NAMED_FILES = sorted(set(re.findall(r"`((?:[a-z_]+/)+[\w.]+\.(?:py|yaml|smk))`", MEASURING)))


@pytest.mark.parametrize(("file", "test"), NAMED_TESTS)
def test_every_test_that_springs_a_trap_exists(file: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("file", NAMED_FILES)
def test_every_module_that_guards_exists(file: str) -> None:
    assert (ROOT / file).is_file() or (ROOT / "scripts" / file).is_file()


def test_the_table_of_traps_is_read() -> None:
    assert len(NAMED_TESTS) > 40
    assert len(NAMED_FILES) > 30


@pytest.mark.parametrize("study", sorted(path.name for path in (ROOT / "config" / "studies").glob("*.yaml")))
def test_the_readme_names_every_study(study: str) -> None:
    assert f"config/studies/{study}" in (ROOT / "README.md").read_text(encoding="utf-8")


def documents() -> list[Path]:
    """The pages of the project, those of its results too."""
    return [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_that_git_has(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    places = [(page.parent / link).resolve().relative_to(ROOT) for link in links]
    assert [str(place) for place in places if not (ROOT / place).exists()] == []
    kept = subprocess.run(
        ["git", "check-ignore", "--", *map(str, places)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert kept.stdout.split() == []  # what git ignores is on this machine alone
