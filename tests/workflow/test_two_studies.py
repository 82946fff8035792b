"""A study that names an earlier one, and the two compared by hand, with files that the workflow wrote."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.workflow.project import Project


@pytest.mark.slow
def test_a_report_says_what_changed_since_an_earlier_study(project: Project) -> None:
    results = project.root / "results"
    shutil.copy(results / "comparison.json", project.root / "earlier.json")
    project.study["report"] = {"previous": "earlier.json"}
    assert project.snakemake().status == 0
    found = json.loads((results / "comparison.json").read_text(encoding="utf-8"))
    assert found["previous"]["worse"] == []
    assert {row["output"]["state"] for row in found["previous"]["techniques"]} == {"same tokens"}
    assert all("since_latency_s" in technique["since_previous"] for technique in found["techniques"])
    assert "## Since the previous study" in (results / "report.md").read_text(encoding="utf-8")
    assert "Runs of two studies are not paired" in (results / "report.html").read_text(encoding="utf-8")
    assert "/earlier.json" not in json.dumps(found["configuration"])
    assert project.plan() == set()
    # Another content is another comparison; the runs stay.
    earlier = json.loads((project.root / "earlier.json").read_text(encoding="utf-8"))
    (project.root / "earlier.json").write_text(json.dumps(earlier | {"title": "Of last year"}), encoding="utf-8")
    assert project.plan() == {"compare", "plot", "render"}


@pytest.mark.slow
def test_two_studies_are_compared_by_hand(project: Project) -> None:
    earlier = json.loads((project.root / "results/comparison.json").read_text(encoding="utf-8"))
    lost = next(technique for technique in earlier["techniques"] if technique["name"] == "pruned")
    (project.root / "before.json").write_text(json.dumps(earlier), encoding="utf-8")
    lost |= {"status": "failed", "reason": "a kernel is missing"}
    (project.root / "after.json").write_text(json.dumps(earlier), encoding="utf-8")

    def compared(*names: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "scripts.compare_studies", *names]
        return subprocess.run(command, cwd=project.root, env={"PYTHONPATH": "."}, capture_output=True, text=True)

    assert compared("before.json", "before.json").returncode == 0
    worse = compared("before.json", "after.json")
    assert worse.returncode == 1
    assert "a kernel is missing" in worse.stdout
    assert (project.root / "studies.html").exists()
    missing = compared("before.json", "nowhere.json")
    assert missing.returncode == 2
    assert missing.stderr.count("\n") == 1
