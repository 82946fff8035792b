"""The finished study: every technique ran, proved its facets, and kept its promise about the tokens."""

import gzip
import html
import json
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from scripts.study import configuration
from scripts.techniques.registry import facet_names
from tests.workflow.conftest import TOKEN
from tests.workflow.project import FEW, ROOT, Project, run, techniques
from tests.workflow.test_errors import BUILT_IN, study

LOSSLESS = {
    "kv_cache": "baseline",
    "tensor_parallel": "kv_cache",
    "pipeline_parallel": "kv_cache",
    "speculative": "target_only",
    "prompt_lookup": "target_only",
    "batch_8": "kv_cache",
    "batch_32": "kv_cache",
    "continuous_batch": "batch_32",
    "transformers_static": "kv_cache",
    "graph": "kv_cache",
    "graph_target": "target_only",
    "graph_speculative": "graph_target",
}
OF_THE_TINY_STUDY = {"graph_speculative_int8": "graph_speculative"}


def record(project: Project, technique: str) -> dict[str, Any]:
    return json.loads((project.root / f"results/generations/{technique}/run-1/run.json").read_text(encoding="utf-8"))


def samples(project: Project, technique: str) -> list[dict[str, Any]]:
    text = (project.root / f"results/generations/{technique}/run-1/samples.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def each(names: Iterable[str]) -> list:
    """Return the techniques as parameters: of the few that the finished study ran, and slow, of the whole study."""
    return [name if name in FEW else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.fixture
def ran(technique: str, request: pytest.FixtureRequest) -> Project:
    """Return the study that has run the test's technique."""
    return request.getfixturevalue("finished" if technique in FEW else "whole")


@pytest.mark.parametrize("technique", each(techniques()))
def test_every_technique_ran_and_proved_each_of_its_facets(ran: Project, technique: str) -> None:
    made = record(ran, technique)
    assert (made["status"], made["reason"]) == ("ok", None)
    used = {facet for facet in facet_names() if facet in made["settings"]}
    assert set(made["evidence"]) == used
    assert all(made["evidence"][facet] for facet in used)
    assert [sample["id"] for sample in samples(ran, technique)] == ids(ran)


def ids(project: Project) -> list[str]:
    lines = (project.root / "results/dataset/eval.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["id"] for line in lines]


@pytest.mark.parametrize("technique", each(LOSSLESS | OF_THE_TINY_STUDY))
def test_a_lossless_technique_writes_its_parents_tokens(ran: Project, technique: str) -> None:
    own, parents = (
        [sample["token_ids"] for sample in samples(ran, name)]
        for name in (technique, (LOSSLESS | OF_THE_TINY_STUDY)[technique])
    )
    assert own == parents
    # Tokens that say something: not an end token alone, and not the same for every summary.
    assert sum(map(len, own)) > 4 * len(own)
    assert len(set(map(tuple, own))) > 1


def test_what_is_held_to_be_lossless_is_what_is_checked() -> None:
    resolved = configuration.check(study("{}"))
    assert {technique.name: technique.parent for technique in resolved if technique.lossless} == LOSSLESS | {
        "speculative_nf4": "target_nf4",
        "graph_batch_8": "graph",
        "eager_attention": "kv_cache",
        "prefix_cache": "kv_cache",
    }
    assert {technique.name for technique in resolved} == set(BUILT_IN["techniques"])


def test_speculation_accepts_some_tokens_and_refuses_some(finished: Project) -> None:
    lines = samples(finished, "speculative")
    drafted, accepted = (sum(line[key] for line in lines) for key in ("drafted_tokens", "accepted_tokens"))
    assert 0 < accepted < drafted


def test_continuous_batching_served_four_requests_in_two_slots(finished: Project) -> None:
    engine = record(finished, "continuous_batch")["evidence"]["engine"]
    assert (engine["slots"], engine["most_sequences"]) == (2, 2)
    lines = sorted(samples(finished, "continuous_batch"), key=lambda line: line["ttft_s"])
    assert [line["batch_requests"] for line in lines] == [4] * 4
    # The last two waited until a slot was free.
    assert lines[2]["ttft_s"] > min(line["latency_s"] for line in lines)


def test_the_report_shows_every_label_as_text(finished: Project) -> None:
    page = (finished.root / "results/report.html").read_text(encoding="utf-8")
    labels = {name: entry["label"] for name, entry in BUILT_IN["techniques"].items()}
    labels |= {name: entry["label"] for name, entry in finished.study["techniques"].items() if "label" in entry}
    for technique in finished.study["select"]:
        assert labels[technique] in html.unescape(page)
    assert "<b>30%</b>" not in page
    table = (finished.root / "results/comparison.csv").read_text(encoding="utf-8")
    assert len(table.splitlines()) == 1 + len(finished.study["select"])


@pytest.mark.slow
def test_no_file_of_a_study_holds_a_token_of_its_environment(finished: Project) -> None:
    files = [path for path in finished.root.rglob("*") if path.is_file()]
    assert any(path.suffix == ".html" for path in files)
    assert any(".snakemake" in path.parts for path in files)
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []
    assert TOKEN not in finished.root.with_name("finished.done").read_text(encoding="utf-8")


def test_a_semantic_score_and_a_profile_are_made_where_they_are_asked_for(project: Project) -> None:
    """A sweep of batches too, all on top of a finished study, of which nothing runs again."""
    shutil.copytree(project.root / "results/models/small", project.root / "encoder")
    project.study["quality"] = {"semantic": {"source": "path", "path": {"path": "encoder"}}}
    project.study["measurement"]["profile"] = 1
    project.study["comparison"] = {"price_per_device_hour": 2.5, "currency": "EUR"}
    project.study["sweeps"] = {"size": {"technique": "kv_cache", "facet": "batch_size", "values": [2]}}
    project.study["select"] = ["baseline", "kv_cache"]
    outcome = project.snakemake()
    assert outcome.status == 0, outcome.text
    runs = [line for line in outcome.text.splitlines() if "  run " in line]
    assert [line.split(",")[0].split("  ")[-1] for line in runs] == ["run 1 of size_2"]
    comparison = json.loads((project.root / "results/comparison.json").read_text(encoding="utf-8"))
    for technique in comparison["techniques"]:
        assert -1 <= technique["figures"]["semantic_similarity"]["value"] <= 1
        assert technique["cost_per_million"]["unit"] == "EUR"
    assert comparison["sweeps"][0]["points"][0]["status"] == "ok"
    profile = project.root / "results/profiles/size_2"
    assert "aten::" in (profile / "operators.csv").read_text(encoding="utf-8")
    with gzip.open(profile / "trace.json.gz", "rt", encoding="utf-8") as trace:
        assert json.load(trace)["traceEvents"]
    page = html.unescape((project.root / "results/report.html").read_text(encoding="utf-8"))
    assert "batch_size 2" in page
    assert "EUR" in page


def test_the_terminal_has_a_line_for_each_step_and_ends_with_the_answer(finished: Project, shown: str) -> None:
    lines = [line for line in shown.splitlines() if not line.startswith("Using workflow specific profile")]
    names = re.findall(r"^ *\d+/\d+  ([^,]+), \S+ (?:s|min)\b", shown, re.MULTILINE)
    each = [f"{what} of {name}" for name in FEW for what in ("run 1", "ROUGE", "figures")]
    around = ["data set", "evaluation samples", "model small", "model large", "comparison", "plots", "report"]
    assert sorted(names) == sorted([*each, *around])
    assert re.fullmatch(rf"{len(names)} steps, (about|roughly) \d+ min\.", lines[0])
    assert any(re.search(r"; (about \d+ min|less than a minute) left$", line) for line in lines)
    assert lines[-1].startswith(f"The report is {finished.root.resolve()}/results/report.html; ")
    # Nothing else, but for the answer.
    assert len(lines) < len(names) + 12
    assert not set(shown) & set("\r\x1b")
    [log] = (finished.root / ".snakemake/log").iterdir()
    assert "python -P -m scripts.generate" not in shown
    assert "Finished jobid" in log.read_text(encoding="utf-8")


def test_the_results_own_page_tells_of_every_file_and_folder(finished: Project) -> None:
    told = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in (finished.root / "results").iterdir() if f"`{path.name}" not in told] == []


def test_a_runs_request_makes_the_run_again_by_hand(finished: Project, tmp_path: Path) -> None:
    asked = "results/requests/generate/kv_cache-1.json"
    command = [sys.executable, "-m", "scripts.generate", "--request", asked, "--output", str(tmp_path / "again")]
    outcome = run(command, finished.root, {})
    assert outcome.status == 0, outcome.text
    again = [json.loads(line) for line in (tmp_path / "again/samples.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [each["token_ids"] for each in again] == [each["token_ids"] for each in samples(finished, "kv_cache")]
