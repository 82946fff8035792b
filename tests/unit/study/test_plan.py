"""What the workflow's jobs need and are asked, without Snakemake."""

import json

import pytest

from scripts.study import configuration, layers, plan
from scripts.study.techniques import resolve


@pytest.fixture(scope="module")
def built_in() -> plan.Plan:
    config = layers.read([], ["measurement={device: cpu}", "select=[]"]).config
    techniques = {technique.name: technique for technique in configuration.check(config)}
    return plan.Plan(config, techniques, [])


def test_a_round_is_done_before_the_next_and_its_order_is_drawn(built_in):
    turns = {run: [built_in.priority(name, run) for name in built_in.techniques] for run in built_in.runs}
    assert min(turns[1]) > max(turns[2]) > min(turns[2]) > max(turns[3])
    assert sorted(turns[1]) != turns[1]
    order = [sorted(built_in.techniques, key=lambda name: -built_in.priority(name, run)) for run in built_in.runs]
    assert order[0] != order[1]


def test_a_runs_files_are_those_that_its_technique_needs(built_in):
    def inputs(name):
        return set(built_in.run_inputs(built_in.techniques[name]))

    assert inputs("nf4") == {"dataset", "target", "reference"}
    assert inputs("speculative") == {"dataset", "target", "draft", "reference"}
    assert inputs("pruned_wanda") == {"dataset", "target", "rows", "reference"}
    assert "reference" not in built_in.generation_inputs(built_in.techniques["nf4"])


def test_a_request_holds_all_that_a_run_is_asked(built_in):
    asked = built_in.run_request(built_in.techniques["nf4"], 2)
    assert (asked["technique"], asked["run"], asked["settings"]["quantization"]["method"]) == ("nf4", 2, "nf4")
    assert asked["reference_technique"]["technique"] == "kv_cache"
    assert asked["output"] == "results/generations/nf4/run-2"
    assert {"samples", "output"} <= set(built_in.profile_request(built_in.techniques["nf4"]))


def test_without_gpus_a_run_takes_all_cores_and_no_gpu(built_in, monkeypatch):
    tensor = built_in.techniques["tensor_parallel"]
    assert (built_in.gpus_needed(tensor), built_in.generation_threads(tensor, 7)) == (0, 7)
    on_gpus = plan.Plan(built_in.config | {"measurement": built_in.config["measurement"] | {"device": "cuda"}}, {}, [])
    assert (on_gpus.gpus_needed(tensor), on_gpus.generation_threads(tensor, 7)) == (2, 2)


def test_a_run_that_is_alone_takes_all_cores_beside_gpus_too_and_is_another_run(built_in):
    tensor, measurement = built_in.techniques["tensor_parallel"], built_in.config["measurement"]

    def planned(**changes):
        return plan.Plan(built_in.config | {"measurement": measurement | changes}, {}, [])

    alone = planned(device="cuda", exclusive=True)
    assert alone.generation_threads(tensor, 7) == 7
    assert alone.profile_request(tensor)["neighbours"] == "none"
    assert "neighbours" not in planned(device="cuda").profile_request(tensor)


def test_threads_are_chosen_by_a_measurement_only_where_that_is_asked_for(built_in):
    nf4, measurement = built_in.techniques["nf4"], built_in.config["measurement"]

    def planned(**changes):
        return plan.Plan(built_in.config | {"measurement": measurement | changes}, built_in.techniques, [])

    auto, on_gpus = planned(threads="auto", device="cpu"), planned(threads="auto", device="cuda")
    assert auto.generation_inputs(nf4)["chosen_threads"] == plan.CHOSEN_THREADS
    assert (auto.run_request(nf4, 1)["threads"], auto.timed_for_threads) == (0, "small")
    assert "chosen_threads" not in on_gpus.generation_inputs(nf4)
    assert on_gpus.run_request(nf4, 1)["threads"] == 1
    assert "chosen_threads" not in planned(threads=0, device="cpu").generation_inputs(nf4)


def test_a_request_is_written_with_the_files_that_a_job_reads(built_in, tmp_path):
    path = tmp_path / "requests" / "a.json"
    plan.write_request(str(path), plan.as_text({"technique": "a"}), {"dataset": "eval.jsonl", "metrics": ["1", "2"]})
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "technique": "a", "dataset": "eval.jsonl", "metrics": ["1", "2"],
    }  # fmt: skip


def test_the_comparison_is_told_of_every_technique(built_in):
    told = built_in.comparison_request()["study"]
    assert [technique["name"] for technique in told["techniques"]] == list(built_in.techniques)
    assert told["scenario_order"] == list(built_in.config["scenarios"])
    json.dumps(told)


def test_an_engine_with_an_environment_of_its_own_is_looked_for_there_where_snakemake_makes_it(built_in):
    entries = {
        "vllm": {"extends": "kv_cache", "engine": {"name": "server", "preset": "vllm"}},
        "own": {"extends": "kv_cache", "engine": {"name": "server", "preset": "vllm", "executable": "/opt/vllm"}},
        "here": {"extends": "kv_cache", "engine": {"name": "server", "preset": "transformers_serve"}},
    }
    resolved = resolve(built_in.config["techniques"] | entries, list(entries), {"small", "large"})
    found = {technique.name: technique for technique in resolved}
    for conda, wanted in ((True, ["vllm"]), (False, [])):
        made = plan.Plan(built_in.config, found, [], conda)
        assert [name for name in entries if "engine" in made.run_inputs(found[name])] == wanted
    assert (
        plan.Plan(built_in.config, found, [], True).run_inputs(found["vllm"])["engine"] == "results/engines/vllm.json"
    )
