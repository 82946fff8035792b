"""What libraries, machines, missing files and the reference's code rerun."""

import json
from pathlib import Path

import pytest

from tests.workflow.project import Project, jobs
from tests.workflow.reruns import ALL, REPORT, SCORES, TEXTS, changed, one_a_mechanism, runs

LIBRARIES = {
    "torch": runs(*ALL),
    "transformers": runs(*ALL),
    "evaluate": TEXTS | SCORES | REPORT,
    "rouge_score": TEXTS | SCORES | REPORT,
    "scipy": SCORES | REPORT,
    "pandas": REPORT,
    "matplotlib": {"plot", "render"},
    "jinja2": {"render"},
}


@pytest.mark.parametrize("library", one_a_mechanism(LIBRARIES, "torch", "scipy", "jinja2"))
def test_another_version_of_a_library_reruns_the_stages_that_use_it(planned: Project, library: str) -> None:
    planned.shadow(library, "99.0")
    assert planned.plan() == LIBRARIES[library]


def test_another_gpu_model_reruns_every_generation(planned: Project) -> None:
    planned.fake_gpus("NVIDIA Pretended 9000")
    assert planned.plan() == runs(*ALL)


def test_a_named_machine_stands_for_all_that_are_held_to_be_equal(recorded: Project, tmp_path: Path) -> None:
    """On a cluster the machine that plans is not the one that runs: the name counts, and the libraries' versions."""
    project = recorded.copy(tmp_path / "project")
    project.study["measurement"]["machine"] = "cluster"
    assert project.plan() == runs(*ALL)
    project.snakemake("--touch")  # takes the results for made with these settings
    project.fake_gpus("NVIDIA Pretended 9000")
    assert project.plan() == set()
    project.shadow("torch", "99.0")
    assert project.plan() == runs(*ALL)


@pytest.mark.parametrize(
    "path",
    [
        "scripts/techniques/pruning/facet.py",
        "scripts/metrics/rouge.py",
        "scripts/score.py",
        "config/references/benchmark-2025.yaml",
        "config/config.schema.yaml",
    ],
)
def test_a_missing_part_of_the_project_is_an_error(planned: Project, path: str) -> None:
    (planned.root / path).unlink()
    outcome = planned.dry_run()
    assert Path(path).name in outcome.error
    assert "Nothing to be done" not in outcome.text


@pytest.mark.slow
def test_a_missing_part_of_the_report_is_an_error(project: Project) -> None:
    for path in ("report.html.j2", "styles/base.css", "report.md.j2", "scripts/table.js"):
        text = (project.root / "report" / path).read_text(encoding="utf-8")
        (project.root / "report" / path).unlink()
        assert f"report/{path}" in project.snakemake().error
        (project.root / "report" / path).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    "path",
    [
        "generations/nf4/run-1/samples.jsonl",
        "generations/nf4/run-1/fixed.jsonl",
        "generations/nf4/run-1/distributions.npz",
        "metrics/text/nf4.json",
        "metrics/nf4.json",
        "plots/memory_quality.svg",
    ],
)
def test_a_missing_result_is_made_again(planned: Project, path: str) -> None:
    (planned.root / "results" / path).unlink()
    firsts = {"generations": "generate:nf4", "metrics": "score:nf4", "metrics/text": "score_text:nf4", "plots": "plot"}
    first = firsts.get(path.rpartition("/")[0]) or firsts[path.split("/")[0]]
    assert first in planned.plan()


def test_what_is_planned_is_what_runs(project: Project) -> None:
    """A change of the report's style runs one job, and then nothing is left to do."""

    def times() -> dict[str, int]:
        return {
            str(path): path.stat().st_mtime_ns for path in (project.root / "results").rglob("*.*") if path.is_file()
        }

    before = times()
    project.append("report/styles/base.css", "\nbody { color: #123456; }\n")
    outcome = project.snakemake()
    assert outcome.status == 0, outcome.text
    changed = {Path(path).name for path, time in times().items() if time != before.get(path)}
    assert changed == {"report.html", "report.md", "render.log"}
    assert "#123456" in (project.root / "results/report.html").read_text(encoding="utf-8")
    assert project.plan() == set()


def test_the_references_code_is_part_of_each_run(recorded: Project, tmp_path: Path) -> None:
    project = recorded.copy(tmp_path / "project")
    project.study["measurement"]["reference"] = "baseline"
    assert project.snakemake("--touch").status == 0
    assert project.plan() == set()
    changed("scripts/inference/reference_worker.py")(project)
    assert project.plan() == runs(*ALL)


@pytest.mark.slow
def test_the_references_code_and_model_are_part_of_each_run(project: Project) -> None:
    project.study |= {"select": ["baseline", "kv_cache"]}
    project.study["measurement"]["reference"] = "baseline"
    target = "results/metrics/kv_cache.json"
    outcome = project.snakemake(target)
    assert outcome.status == 0, outcome.text
    metrics = json.loads((project.root / target).read_text(encoding="utf-8"))
    assert (metrics["reference"]["status"], metrics["reference"]["technique"]) == ("on", "baseline")
    assert len(metrics["samples"]["run_reference_s"][0]) == metrics["sample_count"]
    assert project.plan(target) == set()
    # The baseline's run too, since a score compares distributions with the parent's.
    again = jobs("generate", ["baseline", "kv_cache"]) | jobs("score_text", ["kv_cache"]) | jobs("score", ["kv_cache"])
    changed("scripts/inference/reference_worker.py")(project)
    assert project.plan(target) == again
