"""Servers as techniques through the whole workflow: from a preset in the study to the report."""

import json
from copy import deepcopy
from pathlib import Path

import pytest

from tests.support import served
from tests.workflow.project import TINY, Project

SERVERS = ["test_server", "serve", "absent"]


def server() -> dict:
    """A server with known answers, in the words of a study."""
    preset = served.preset(token_ids="token_ids", continuous_usage=True, service_s=0.01, tokens=6)
    return {"name": "server"} | preset | {"proves": preset["proves"][1:]}


@pytest.fixture(scope="module")
def project(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The study with three servers, before it runs, on the models of the finished one."""
    made = finished.copy(tmp_path_factory.mktemp("serving") / "project")
    made.study = deepcopy(TINY) | {
        "techniques": {
            "test_server": {"label": "Server <b>X</b>", "extends": "kv_cache", "engine": server()},
            "serve": {"extends": "kv_cache", "engine": {"name": "server", "preset": "transformers_serve"}},
            "absent": {"extends": "kv_cache", "engine": {"name": "server", "preset": "vllm"}},
        },
        "select": ["baseline", "kv_cache", *SERVERS],
    }
    made.study["measurement"] |= {"reference": "auto"}
    made.study["dataset"] = made.study["dataset"] | {"samples": 8}  # more than a load run's warm-up takes
    return made


@pytest.fixture(scope="module")
def answered(project: Project) -> Project:
    outcome = project.snakemake("--set-threads", "generate=1", "prepare_model=1")
    assert outcome.status == 0, outcome.text
    return project


@pytest.fixture(scope="module")
def techniques(answered: Project) -> dict[str, dict]:
    comparison = json.loads((answered.root / "results" / "comparison.json").read_text(encoding="utf-8"))
    return {technique["name"]: technique for technique in comparison["techniques"]}


@pytest.mark.slow
def test_servers_are_rows_of_the_report_like_any_technique(answered: Project, techniques: dict[str, dict]) -> None:
    status = {name: techniques[name]["status"] for name in SERVERS}
    assert status == {"test_server": "ok", "serve": "ok", "absent": "unsupported"}
    assert techniques["absent"]["reason"].startswith("The program vllm of vLLM is not there; install vLLM")
    figures = techniques["serve"]["figures"]
    for key in ("latency_s", "ttft_s", "tpot_s", "fixed_latency_s", "throughput_samples_per_s", "rougeL"):
        assert figures[key]["value"] is not None, key
    assert "libraries included" in figures["peak_memory_bytes"]["note"]
    assert figures["weight_bytes"]["value"] is None
    change = techniques["serve"]["changes"]["parent"]["figures"]["peak_memory_change_percent"]
    assert "all that its processes hold" in change["note"]
    page = (answered.root / "results" / "report.html").read_text(encoding="utf-8")
    assert "transformers serve" in page
    assert "Server <b>X</b>" not in page


@pytest.mark.slow
def test_a_server_of_the_same_model_is_held_to_its_parents_headlines(techniques: dict[str, dict]) -> None:
    audit = techniques["serve"]["matches"]["audit"]
    assert audit["verdict"] == "identical"
    assert "texts were compared" in audit["sentence"]
    assert not techniques["test_server"]["lossless"]


@pytest.mark.slow
def test_what_a_server_wrote_is_beside_the_runs_log(answered: Project) -> None:
    logs = answered.root / "results" / "logs" / "generate"
    assert "listening on port" in (logs / "test_server-1.server.log").read_text(encoding="utf-8")
    assert "Uvicorn running" in (logs / "serve-1.server.log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_changed_preset_or_argument_makes_its_runs_stale_and_no_other(answered: Project) -> None:
    assert not answered.plan()
    sources = answered.sources()
    answered.edit("config/serving/transformers_serve.yaml", "--dtype={dtype}", "--dtype=auto")
    jobs = answered.plan()
    assert "generate:serve" in jobs
    assert not jobs & {"generate:test_server", "generate:kv_cache", "generate:baseline", "generate:absent"}
    answered.put_back(sources)
    answered.study["techniques"]["test_server"]["engine"]["arguments"] = ["--service-s=0.02"]
    assert {job for job in answered.plan() if job.startswith("generate")} == {"generate:test_server"}
    del answered.study["techniques"]["test_server"]["engine"]["arguments"]


def test_a_wrong_server_is_one_sentence_before_anything_runs(project: Project) -> None:
    study = deepcopy(project.study)
    wrong = Project(project.root, study, project.environment)
    study["techniques"]["absent"]["engine"]["preset"] = "vlm"
    said = "techniques.absent: the preset \"vlm\" does not exist; perhaps 'vllm' is meant."
    assert wrong.dry_run().error.endswith(said)
    study["techniques"]["absent"] = {"extends": "nf4", "engine": {"name": "server", "preset": "vllm"}}
    assert "techniques.absent: engine 'server' does not compose with quantization" in wrong.dry_run().error
    assert Path(project.root).exists()


@pytest.fixture(scope="module")
def loaded(answered: Project) -> Project:
    """The same study, its servers put under load at two rates."""
    answered.study["load"] = {"techniques": ["test_server", "fast"], "rates": [20, 40], "requests": 20}
    answered.study["techniques"]["fast"] = {"extends": "kv_cache", "engine": "graph"}
    answered.study["select"] = ["baseline", "kv_cache", "test_server", "fast"]
    outcome = answered.snakemake("--set-threads", "generate=1", "prepare_model=1")
    assert outcome.status == 0, outcome.text
    return answered


@pytest.mark.slow
def test_a_load_run_measures_each_rate_of_a_foreign_server_and_of_the_projects_own(loaded: Project) -> None:
    for name, label in (("test_server", "test server"), ("fast", "this project's server")):
        folder = loaded.root / "results" / "load" / name / "run-1"
        record = json.loads((folder / "load.json").read_text(encoding="utf-8"))
        assert record["status"] == "ok", record["reason"]
        assert record["server"]["label"] == label
        asked = [level for level in record["levels"] if level["purpose"] == "asked"]
        assert [level["rate_per_s"] for level in asked] == [20, 40]
        assert all(level["failed"] == 0 and level["measured"] == 20 for level in asked)
        lines = (folder / "requests.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(lines) >= 40
        assert str(loaded.root) not in json.dumps(record["server"])
    assert not loaded.plan()


@pytest.mark.slow
def test_answers_under_load_are_those_given_alone_and_the_page_shows_the_rates(loaded: Project) -> None:
    comparison = json.loads((loaded.root / "results" / "comparison.json").read_text(encoding="utf-8"))
    fast = next(technique for technique in comparison["techniques"] if technique["name"] == "fast")
    agreement = fast["load"]["runs"][0]["agreement"]
    assert agreement["same"] == agreement["compared"] > 0
    # The highest of the rates that were given, which no limit was broken at.
    assert "fast" in comparison["load"]["order"]
    assert fast["figures"]["capacity_per_s"]["value"] == 40
    page = (loaded.root / "results" / "report.html").read_text(encoding="utf-8")
    assert "Under load: all rates" in page


@pytest.mark.slow
def test_another_rate_makes_load_runs_stale_and_no_others(loaded: Project) -> None:
    loaded.study["load"]["rates"] = [20, 30]
    jobs = loaded.plan()
    assert {job for job in jobs if job.startswith("measure_load")} == {"measure_load:test_server", "measure_load:fast"}
    assert not any(job.startswith("generate") for job in jobs)
    loaded.study["load"]["rates"] = [20, 40]
