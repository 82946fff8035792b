"""What the report says of load tests."""

import copy
import json
from pathlib import Path

import pytest

from scripts.report import answer, load_curves, markdown, view, words
from tests.support import synthetic_study
from tests.support.synthetic_techniques import Technique

TECHNIQUES = [
    Technique("baseline", None, "Baseline", {"model": "small", "kv_cache": "none"}),
    Technique("kv_cache", label="KV cache", difference={"kv_cache": "dynamic"}, lossless=True, speed=2.4, serves=31.0),
    Technique("compiled", "kv_cache", "Com<b>piled", {"engine": "graph"}, True, 5.1, serves=60.0),
]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    root = tmp_path_factory.mktemp("load")
    return synthetic_study.compare(synthetic_study.write_study(root, TECHNIQUES, 20, 3))


def test_the_answer_says_what_is_served_within_the_limit_and_against_what(comparison):
    said = next(line for line in answer.sentences(comparison) if line.startswith("Under load"))
    assert "Com<b>piled takes 41.6 requests a second with P99 latency within 300 ms (95% interval" in said
    assert "3 runs), 1.9" in said
    assert said.endswith("as many as KV cache.")
    assert said in markdown_text(comparison).replace("\\", "")


def markdown_text(comparison):
    return markdown.document(comparison, Path("report/report.md.j2"))


def test_a_highest_rate_that_broke_nothing_is_said_to_be_a_least(comparison):
    changed = copy.deepcopy(comparison)
    compiled = next(each for each in changed["techniques"] if each["name"] == "compiled")
    compiled["figures"]["capacity_per_s"]["bracket"][0][1] = None
    assert any("takes at least 41.6 requests" in line for line in answer.sentences(changed))
    assert view.report_view(changed)["views"]["load"]["rows"][0]["rate"] == "≥ 41.6"


def test_where_no_rate_kept_the_limits_the_answer_says_so(comparison):
    changed = copy.deepcopy(comparison)
    changed["load"] |= {"order": [], "ratios": [], "missing": dict.fromkeys(["compiled", "kv_cache"], "none kept them")}
    said = next(line for line in answer.sentences(changed) if line.startswith("Under load"))
    assert said == "Under load: Com<b>piled and KV cache keep no rate that was tried with P99 latency within 300 ms."


def test_a_lone_request_that_breaks_the_limit_is_told_in_the_answer(comparison):
    changed = copy.deepcopy(comparison)
    changed["load"] |= {"order": [], "ratios": [], "missing": {"compiled": "no rate keeps the limits"}}
    compiled = next(each for each in changed["techniques"] if each["name"] == "compiled")
    compiled["load"]["runs"][0]["capacity"] = {"per_s": None, "bound": "latency_ms", "alone_ms": 812.4}
    said = next(line for line in answer.sentences(changed) if line.startswith("Under load"))
    assert said.endswith("; a lone request breaks that already: latency 812 ms (Com<b>piled).")


def test_too_few_requests_for_the_percentile_are_told_in_the_answer(comparison):
    changed = copy.deepcopy(comparison)
    run = next(each for each in changed["techniques"] if each["name"] == "compiled")["load"]["runs"][0]
    level = next(each for each in run["levels"] if each["rate_per_s"] == run["capacity"]["keeps_at"])
    assert not any("fewer requests" in line for line in answer.sentences(changed))
    level["flags"] = ["too_few_requests"]
    said = next(line for line in answer.sentences(changed) if line.startswith("Under load"))
    assert said.endswith("; a rate had fewer requests than P99 needs (299).")


def test_a_flag_of_the_technique_is_told_with_what_it_serves(comparison):
    changed = copy.deepcopy(comparison)
    compiled = next(each for each in changed["techniques"] if each["name"] == "compiled")
    compiled["flags"] = [{"kind": "spread", "message": "runs differ"}, {"kind": "memory", "message": "no doubt"}]
    said = next(line for line in answer.sentences(changed) if line.startswith("Under load"))
    assert said.endswith("; Com<b>piled is flagged: runs differ.")


def test_one_technique_alone_is_not_called_the_one_that_serves_the_most(comparison):
    changed = copy.deepcopy(comparison)
    changed["load"] |= {"order": ["compiled"], "ratios": []}
    assert view.report_view(changed)["views"]["load"]["rows"][0]["ratio"]["text"] == "not compared"


def test_what_is_served_is_told_without_a_baseline_too(comparison):
    changed = copy.deepcopy(comparison)
    changed["uses"] = None
    assert any(line.startswith("Under load") for line in answer.sentences(changed))


def test_runs_that_differ_too_much_stand_in_place_of_an_interval(comparison):
    changed = copy.deepcopy(comparison)
    compiled = next(each for each in changed["techniques"] if each["name"] == "compiled")
    compiled["figures"]["capacity_per_s"] |= {"low": 1.0, "high": 900.0, "runs": [9.0, 26.0, 80.0]}
    said = next(line for line in answer.sentences(changed) if line.startswith("Under load"))
    assert "(9.00 to 80.0 in 3 runs, which differ too much for an interval)" in said


def test_every_rate_has_a_row_with_what_was_measured_there(comparison):
    kv_cache, compiled = sorted(
        view.report_view(comparison)["views"]["rates"], key=lambda each: each["name"] != "kv_cache"
    )
    assert compiled["label"] == "Com<b>piled"
    assert len(compiled["rows"]) == len(kv_cache["rows"]) >= 6
    first = compiled["rows"][0]
    assert first["load"].endswith("/s")
    assert first["kept"] == "1 of 1"
    assert len(first["times"]) == 6


def test_a_study_without_load_says_nothing_of_it(tmp_path):
    without = [Technique(each.name, each.parent, each.label, each.difference, each.lossless, each.speed)
               for each in TECHNIQUES]  # fmt: skip
    found = synthetic_study.compare(synthetic_study.write_study(tmp_path, without, 20, 2))
    assert found["load"] is None
    assert "load" not in view.report_view(found)["views"]
    assert not any("Under load" in line for line in answer.sentences(found))


def test_the_section_has_a_bar_for_each_technique_the_highest_first(comparison):
    shown = view.report_view(comparison)["views"]["load"]
    assert [row["label"] for row in shown["rows"]] == ["Com<b>piled", "KV cache"]
    assert shown["rows"][0]["ratio"]["text"] == "the most"
    assert shown["rows"][1]["ratio"]["text"] == words.times(0.5167)
    assert shown["rows"][0]["value"] < 100  # its interval reaches to the end
    assert "MLPerf calls it the Server scenario" in shown["lead"]
    assert shown["traffic"] == {"kind": "latency_ms", "limit": 300}


def test_the_curves_have_a_line_for_each_run_and_the_limit(comparison):
    drawn = load_curves.svg(comparison)
    assert drawn == load_curves.svg(comparison)
    assert ">limit<" in drawn
    assert "Com&lt;b&gt;piled" in drawn
    assert "<b>" not in drawn


def test_levels_without_an_answer_leave_the_picture_without_times(comparison):
    failed = copy.deepcopy(comparison)
    failed["load"]["settings"]["limits"]["latency_ms"] = None
    for technique in failed["techniques"]:
        for run in (technique["load"] or {}).get("runs", []):
            for level in run["levels"]:
                level |= dict.fromkeys(("latency_s", "ttft_s", "tpot_s", "goodput_per_s"))
    drawn = load_curves.svg(failed)
    assert "Requests done a second" in drawn
    assert ">limit<" not in drawn


def test_one_rate_alone_is_no_curve(comparison):
    one = copy.deepcopy(comparison)
    for technique in one["techniques"]:
        for run in (technique["load"] or {}).get("runs", []):
            run["levels"] = run["levels"][:1]
    assert load_curves.svg(one) == ""
    assert view.report_view(one)["views"]["load"]["curves"] == ""


def test_a_technique_that_was_not_served_gives_its_reason(tmp_path):
    written = synthetic_study.write_study(tmp_path, TECHNIQUES, 20, 2)
    path = next(Path(path) for path in written["metrics"] if path.endswith("compiled.json"))
    content = json.loads(path.read_text(encoding="utf-8"))
    content["load"] |= {"status": "failed", "reason": "the server ended early."}
    content["figures"]["capacity_per_s"] |= {"value": None, "note": "run 1 under load: the server ended early."}
    path.write_text(json.dumps(content), encoding="utf-8")
    shown = view.report_view(synthetic_study.compare(written))["views"]["load"]
    assert shown["missing"] == [{"label": "Com<b>piled", "reason": "the server ended early."}]


def test_a_scenario_of_a_server_is_told_where_there_was_load_and_left_out_where_there_was_none(tmp_path):
    asked = {"server": {"label": "Server <i>", "limits": {}, "weights": {"capacity": 1}}}
    written = synthetic_study.write_study(tmp_path / "load", TECHNIQUES, 20, 2, scenarios=asked)
    shown = view.report_view(synthetic_study.compare(written))["views"]["scenarios"]
    (server,) = shown["scenarios"]
    assert server["winner"]["name"] == "compiled"
    assert server["weights"] == "requests/s under load alone counts"
    assert server["failing"][0] == {
        "name": "baseline", "label": "Baseline", "reasons": ["requests/s under load was not measured"],
    }  # fmt: skip
    assert shown["other"] == "Requests/s under load are compared with those of KV cache, as the baseline has none."
    form = view.report_view(synthetic_study.compare(written))["views"]["yours"]
    assert "min_capacity_per_s" in {field["key"] for field in form["fields"]}
    without = [Technique(each.name, each.parent, each.label, each.difference, each.lossless, each.speed)
               for each in TECHNIQUES]  # fmt: skip
    written = synthetic_study.write_study(
        tmp_path / "none", without, 20, 2, scenarios=asked | {"any": {"label": "Any"}}
    )
    written["study"]["configuration"]["scenarios"] = written["study"]["scenarios"]
    shown = view.report_view(synthetic_study.compare(written))["views"]
    assert [each["label"] for each in shown["scenarios"]["scenarios"]] == ["Any"]
    assert shown["scenarios"]["left_out"] == ["Server <i>"]
    assert "under load" not in shown["overall"]["method"]
    assert "capacity" not in {weight["key"] for weight in shown["yours"]["weights"]}


def test_an_exhausted_memory_is_said_once(tmp_path):
    failed = [*TECHNIQUES, Technique("huge", "kv_cache", "Huge", status="out_of_memory",
                                     reason="Out of memory: the worker of rank 0 ended.")]  # fmt: skip
    found = markdown_text(synthetic_study.compare(synthetic_study.write_study(tmp_path, failed, 20, 2)))
    assert "- Huge: Out of memory: the worker of rank 0 ended." in found.replace("\\", "")
