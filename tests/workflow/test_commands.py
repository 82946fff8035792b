"""Snakemake's own commands and places: what people type beside the one command, and where they type it."""

import json
import re
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support import dataset_hub
from tests.workflow.project import Project, jobs, run, techniques

STAGES = ["prepare_dataset", "select_samples", "prepare_model", "generate", "score_text", "score", "compare", "plot",
          "render"]  # fmt: skip


def test_a_dry_run_shows_every_job_and_makes_nothing(fresh: Project) -> None:
    outcome = fresh.dry_run()
    assert outcome.status == 0, outcome.text
    assert set(outcome.planned) - {"all"} == (
        {"prepare_dataset", "select_samples", "compare", "plot", "render"}
        | jobs("prepare_model", ["small", "large"])
        | jobs("generate", techniques())
        | jobs("score_text", techniques())
        | jobs("score", techniques())
    )
    assert not (fresh.root / "results").exists()
    # A short line for each, with the reason, and how many there are.
    lines = [line for line in outcome.text.splitlines() if line.endswith("not made yet")]
    assert len(lines) == len(outcome.jobs) - 1
    assert {"model small", "run 1 of nf4", "report"} <= {line.removesuffix("not made yet").strip() for line in lines}
    assert f"{len(lines)} steps would run" in outcome.text
    assert max(map(len, outcome.text.splitlines())) < 240


PLACES = {
    "no GPU": ([], "auto", None, (0, 2), (0, 2)),
    "two GPUs": (["NVIDIA", "NVIDIA"], "auto", None, (1, 1), (2, 2)),
    "GPUs that are not visible": (["NVIDIA", "NVIDIA"], "auto", "", (0, 2), (0, 2)),
    "GPUs that are not wanted": (["NVIDIA", "NVIDIA"], "cpu", None, (0, 2), (0, 2)),
    "GPUs of another machine": ([], "cuda", None, (1, 1), (2, 2)),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_technique_asks_for_its_gpus_or_for_all_cores(fresh: Project, place: str) -> None:
    """On GPUs one core a process is enough; without, no other job may disturb a timing."""
    gpus, device, visible, one, two = PLACES[place]
    fresh.fake_gpus(*gpus)
    fresh.study["measurement"]["device"] = device
    if visible is not None:
        fresh.environment["CUDA_VISIBLE_DEVICES"] = visible
    jobs = fresh.dry_run().planned
    for technique, (asked, threads) in (("kv_cache", one), ("tensor_parallel", two)):
        job = jobs[f"generate:{technique}"]
        assert (job["gpu"], job["threads"]) == (asked, threads)


def runs_of(project: Project) -> list[dict[str, Any]]:
    """The planned runs."""
    return [job for job in project.dry_run().jobs if job["rule_name"] == "generate"]


def turns(project: Project) -> dict[str, list[str]]:
    """The techniques of each round in the order in which Snakemake is to take them."""
    found: dict[str, list[tuple[int, str]]] = {}
    for job in runs_of(project):
        found.setdefault(job["wildcards"]["run"], []).append((-job["priority"], job["wildcards"]["technique"]))
    return {number: [technique for _, technique in sorted(round_)] for number, round_ in sorted(found.items())}


def test_all_techniques_run_once_before_any_runs_again(fresh: Project) -> None:
    fresh.study["measurement"]["repeats"] = 3
    priorities: dict[int, list[int]] = {}
    for job in runs_of(fresh):
        priorities.setdefault(int(job["wildcards"]["run"]), []).append(job["priority"])
    assert {number: len(found) for number, found in priorities.items()} == dict.fromkeys((1, 2, 3), len(techniques()))
    assert min(priorities[1]) > max(priorities[2]) > min(priorities[2]) > max(priorities[3])


def test_the_order_in_a_round_is_drawn_from_the_seed(fresh: Project) -> None:
    fresh.study["measurement"]["repeats"] = 2
    first = turns(fresh)
    assert sorted(first["1"]) == sorted(techniques())
    assert first["1"] != first["2"] != techniques()
    assert turns(fresh) == first
    fresh.study["measurement"]["order_seed"] = 1
    assert turns(fresh) != first
    # What else runs does not matter, so that nothing moves when a technique is added.
    fresh.study["measurement"]["order_seed"] = 0
    fresh.study["select"].remove("nf4")
    assert turns(fresh)["1"] == [name for name in first["1"] if name != "nf4"]


def test_lint_finds_nothing(fresh: Project) -> None:
    outcome = fresh.snakemake("--lint")
    assert outcome.status == 0, outcome.text
    assert "Lints for" not in outcome.text


def test_the_summary_lists_every_result_as_up_to_date(project: Project) -> None:
    outcome = project.snakemake("--summary")
    assert outcome.status == 0, outcome.text
    rows = [line.split("\t") for line in outcome.text.splitlines() if line.startswith("results/")]
    assert len(rows) > 3 * len(project.study["select"])
    assert {row[-1] for row in rows} == {"no update"}


@pytest.mark.parametrize("form", ["dot", "mermaid-js"])
def test_the_rule_graph_shows_every_stage(fresh: Project, form: str) -> None:
    outcome = fresh.snakemake("--rulegraph", form)
    assert outcome.status == 0, outcome.text
    assert ("digraph" if form == "dot" else "flowchart") in outcome.text
    assert all(stage in outcome.text for stage in STAGES)


PLOTS = ("latency_quality.svg", "memory_quality.svg", "throughput_quality.svg")


@pytest.mark.slow
def test_snakemakes_report_holds_the_results_and_their_captions(project: Project) -> None:
    outcome = project.snakemake("--report", "report.zip")
    assert outcome.status == 0, outcome.text
    with zipfile.ZipFile(project.root / "report.zip") as archive:
        names = archive.namelist()
        page = "".join(archive.read(name).decode() for name in names if name.endswith("report.html"))
    for result in ("report.html", "comparison.csv", "comparison.json", *PLOTS):
        assert any(name.endswith(f"/{result}") for name in names), names
    for caption in (project.root / "report/captions").iterdir():
        assert caption.read_text(encoding="utf-8").split(";")[0].strip()[:30] in page


def test_the_configuration_that_the_report_carries_is_the_study(project: Project) -> None:
    """Laid over the built-in one alone it leaves nothing to be done."""
    comparison = json.loads((project.root / "results/comparison.json").read_text(encoding="utf-8"))
    carried = project.root.parent / "study.json"
    carried.write_text(json.dumps(comparison["configuration"]), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "2", "--configfile", str(carried)]
    outcome = run(command, project.root, project.environment)
    assert outcome.status == 0, outcome.text
    assert "Nothing to be done" in outcome.text


@pytest.mark.slow
def test_snakemakes_report_is_made_as_one_page_too(project: Project) -> None:
    outcome = project.snakemake("--report", "report-of-snakemake.html")
    assert outcome.status == 0, outcome.text
    assert "latency_quality.svg" in (project.root / "report-of-snakemake.html").read_text(encoding="utf-8")


def test_another_directory_holds_the_results(project: Project) -> None:
    """``--directory`` puts results elsewhere: those that are there count, and the project's folder stays clean."""
    elsewhere = project.root.parent / "else where"
    elsewhere.mkdir()
    for name in ("results", ".snakemake"):
        shutil.move(project.root / name, elsewhere / name)
    assert project.plan("--directory", str(elsewhere)) == set()
    project.append("report/styles/base.css", "\n/* changed */\n")
    outcome = project.snakemake("--directory", str(elsewhere))
    assert outcome.status == 0, outcome.text
    assert "/* changed */" in (elsewhere / "results/report.html").read_text(encoding="utf-8")
    assert not (project.root / "results").exists()


def test_a_data_set_of_a_hub_is_read(fresh: Project) -> None:
    """With nothing set but its name and commit."""
    rows = [
        {"short_description": f"The council of town {n} built {n} bridges today.", "headline": f"Town {n} builds"}
        for n in range(30)
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    with dataset_hub.serve({"owner/news": dataset_hub.Repository({"train.jsonl": content}, "1" * 40)}) as served:
        fresh.study["dataset"] |= {"source": "hub", "hub": {"id": "owner/news", "revision": "1" * 40}}
        fresh.environment |= {"HF_ENDPOINT": served.endpoint, "HF_HUB_OFFLINE": "0", "HF_HOME": str(fresh.root / "hub")}
        outcome = fresh.snakemake("results/dataset/eval.jsonl")
    assert outcome.status == 0, outcome.text
    assert len((fresh.root / "results/dataset/eval.jsonl").read_text(encoding="utf-8").splitlines()) == 4


def test_it_is_started_from_anywhere(project: Project, tmp_path: Path) -> None:
    """With ``--snakefile``, from a folder with a space and quotes in its name."""
    place = tmp_path / 'it\'s a "place" of $HOME'
    place.mkdir()
    command = project.command("results/dataset/eval.jsonl", "--snakefile", str(project.root / "Snakefile"))
    outcome = run(command, place, {})
    assert outcome.status == 0, outcome.text
    assert re.search(r"^2/2  evaluation samples, \S+ (?:s|min)$", outcome.text, re.MULTILINE)
    rows = (place / "results/dataset/eval.jsonl").read_text(encoding="utf-8").splitlines()
    assert len([json.loads(row)["id"] for row in rows]) == 4


@pytest.mark.slow
def test_a_path_with_spaces_is_a_path(project: Project) -> None:
    root = project.root.rename(project.root.parent / "a path (with) spaces & more")
    moved = Project(root, project.study)
    assert moved.plan() == set()
    moved.study["dataset"]["samples"] = 3
    outcome = moved.snakemake("results/metrics/kv_cache.json")
    assert outcome.status == 0, outcome.text
    metrics = json.loads((root / "results/metrics/kv_cache.json").read_text(encoding="utf-8"))
    assert (metrics["status"], metrics["sample_count"]) == ("ok", 3)


FOREIGN = "raise SystemExit('the wrong package')"


def with_foreign_scripts(place: Path) -> Path:
    """A folder with packages of its own whose names are the project's."""
    for package in ("scripts", "scripts/foundation", "scripts/inference"):
        (place / package).mkdir(parents=True)
        (place / package / "__init__.py").write_text(FOREIGN, encoding="utf-8")
    return place


@pytest.mark.slow
def test_a_scripts_package_of_the_current_folder_is_left_alone(project: Project, tmp_path: Path) -> None:
    """Neither the stages nor the workers that they start take it for the project's own."""
    place = with_foreign_scripts(tmp_path / "elsewhere")
    for name in ("results", ".snakemake"):
        shutil.move(project.root / name, place / name)
    shutil.rmtree(place / "results/generations/kv_cache")
    command = project.command(
        "results/generations/kv_cache/run-1/run.json",
        "--snakefile",
        str(project.root / "Snakefile"),
        "--directory",
        str(place),
    )
    outcome = run(command, place, {})
    assert outcome.status == 0, outcome.text
    assert (place / "results/generations/kv_cache/run-1/run.json").exists()


@pytest.mark.parametrize("configured", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_another_workflow_uses_it_as_a_module(fresh: Project, tmp_path: Path, configured: bool) -> None:
    """With the built-in study, or with keys that are laid over it; beside a package of the other's own."""
    place = tmp_path / "other"
    (place / "scripts").mkdir(parents=True)
    (place / "scripts/__init__.py").write_text("MINE = 'mine.txt'", encoding="utf-8")
    own = '{"dataset": {"samples": 3, "newswire": {"train_rows": 50, "evaluation_rows": 20}}}'
    (place / "Snakefile").write_text(
        "import sys\nsys.path.insert(0, workflow.basedir)\nimport scripts\n\n"
        f"module udaciheadline:\n    snakefile: {str(fresh.root / 'Snakefile')!r}\n"
        + (f"    config: {own}\n" if configured else "")
        + "\nuse rule * from udaciheadline as headline_*\n\n"
        "rule mine:\n    default_target: True\n    input: 'results/dataset/eval.jsonl'\n    output: scripts.MINE\n"
        "    shell: 'wc -l < {input} > {output}'\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "snakemake", "--cores", "2"]
    outcome = run([*command, *([] if configured else ["--configfile", fresh.command()[-1]])], place, {})
    assert outcome.status == 0, outcome.text
    assert (place / "mine.txt").read_text(encoding="utf-8").strip() == ("3" if configured else "4")
    outcome = run([*command, "--dry-run", "results/report.html"], place, {})
    assert outcome.status == 0, outcome.text
    assert "headline_generate" in outcome.text
