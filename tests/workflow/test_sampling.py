"""Answers that are drawn several times, through the whole workflow, on the models of the finished study."""

import json
import statistics

import pytest

from tests.workflow.project import Project

DRAWS = 3


@pytest.mark.slow
def test_draws_go_from_the_study_to_the_report_and_no_draw_counts_as_a_prompt(project: Project) -> None:
    project.study |= {
        "select": ["baseline", "kv_cache", "batch_32", "graph", "speculative", "target_only", "tensor_parallel"]
    }
    project.study["generation"] = project.study["generation"] | {"temperature": 0.8, "top_p": 0.95, "draws": DRAWS}
    assert {job.split(":")[0] for job in project.plan()} >= {"generate", "score_text", "compare"}
    outcome = project.snakemake("--set-threads", "generate=1")
    assert outcome.status == 0, outcome.text
    results = project.root / "results"
    lines = [json.loads(line) for line in (results / "generations/graph/run-1/samples.jsonl").read_text().splitlines()]
    assert len(lines) == 4
    assert all(len(line["draws"]) == DRAWS - 1 for line in lines)

    comparison = json.loads((results / "comparison.json").read_text())
    techniques = {technique["name"]: technique for technique in comparison["techniques"]}
    for name in ("kv_cache", "batch_32", "graph", "speculative", "tensor_parallel"):
        match = techniques[name]["matches"]
        assert techniques[name]["status"] == "ok", techniques[name]["reason"]
        assert match["audit"]["verdict"] in ("identical", "tie"), match["audit"]
        assert match["same_tokens"]["n"] == 4
    figures = techniques["graph"]["figures"]
    assert figures["rougeL"]["n"] == 4
    assert figures["rougeL_between_draws"]["n"] == DRAWS
    assert figures["greedy_agreement"]["value"] == 1
    assert figures["most_likely_share"]["value"] < 1

    metrics = json.loads((results / "metrics" / "graph.json").read_text())
    for line, latency, tokens in zip(
        lines, metrics["samples"]["latency_s"], metrics["samples"]["new_tokens"], strict=True
    ):
        answers = [line, *line["draws"]]
        assert latency == pytest.approx(statistics.fmean(each["latency_s"] for each in answers))
        assert tokens == pytest.approx(statistics.fmean(each["new_tokens"] for each in answers))
    page = (results / "report.html").read_text()
    assert f"Each prompt was answered {DRAWS} times" in page

    project.study["generation"]["draws"] = 2
    assert {"generate:graph", "score:graph"} <= project.plan()
