"""The comparison of two studies: what counts as worse, by which test, and what is not judged."""

import copy
from dataclasses import replace

import pytest

from scripts.comparison.studies import compare, judging
from scripts.foundation.errors import StudyError
from scripts.metrics import resampling
from tests.performance.two_studies import AT_BOUND, QUIET, every, judged, worse
from tests.performance.two_studies import study as simulated
from tests.support import synthetic_runs as synthetic
from tests.support.synthetic_study import Technique, write_study
from tests.support.synthetic_study import compare as compared_study

TECHNIQUES = [
    Technique("baseline", None, "Baseline", {"model": "small", "kv_cache": "none"}),
    Technique("kv_cache", label="KV cache", difference={"kv_cache": "dynamic"}, lossless=True, speed=2.4),
    Technique("pruned", "kv_cache", "Pruned", {"pruning": {"method": "magnitude", "amount": 0.3}}, False, 2.4, 0.42),
]  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a function that makes the comparison of a study; ``changes`` replace fields of techniques by name."""
    made = {}

    def build(changes=None, runs=3, **options):
        key = repr((changes, runs, options))
        if key not in made:
            techniques = [replace(each, **(changes or {}).get(each.name, {})) for each in TECHNIQUES]
            folder = tmp_path_factory.mktemp("study")
            made[key] = compared_study(write_study(folder, techniques, runs=runs, **options))
        return copy.deepcopy(made[key])

    return build


@pytest.fixture
def fewer_resamples(monkeypatch):
    monkeypatch.setattr(resampling, "RESAMPLES", 1_000)


def found(old, new, **asked):
    return compare.compare(old, new, compare.choices(**asked))


def of(result, name):
    return next(row for row in result["techniques"] if row["name"] == name)


def reasons(result):
    return {(each["name"], each["key"], each["reason"]) for each in result["worse"]}


def test_a_study_against_itself_has_no_change_and_the_same_tokens(study):
    result = found(study(), study())
    assert result["worse"] == []
    assert {row["output"]["state"] for row in result["techniques"]} == {"same tokens"}
    values = [change["value"] for row in result["techniques"] for _, change in compare.decided(row)]
    assert values
    assert set(values) == {0.0}
    assert not any(group["entries"] for group in result["differences"])


def test_a_slowdown_beyond_the_bound_is_worse_and_one_within_it_is_not(study):
    slower = found(study(), study({"pruned": {"speed": 2.1}}))  # 14%
    assert ("pruned", "latency_s", "figures") in reasons(slower)
    assert {name for name, _, _ in reasons(slower)} == {"pruned"}
    change = of(slower, "pruned")["changes"]["latency_s"]["absolute"]
    assert change["bound"] == "beyond the bound"
    assert change["verdict"] == "slower"
    assert 5 < change["low"] < change["value"] < change["high"] < 25
    assert change["adjusted_p_beyond"] < 0.05
    within = found(study(), study({"pruned": {"speed": 2.1}}), bounds=judging.BOUNDS | {"latency": 30.0})
    assert within["worse"] == []
    assert of(within, "pruned")["changes"]["latency_s"]["absolute"]["bound"] == "within the bound"


def test_faster_is_not_worse(study):
    result = found(study(), study({"pruned": {"speed": 3.0}}))
    assert result["worse"] == []
    assert of(result, "pruned")["changes"]["latency_s"]["absolute"]["verdict"] == "faster"


@pytest.mark.parametrize("which", ["old", "new"])
def test_one_run_is_not_tested_and_so_never_worse(study, which):
    runs = {"old": 3, "new": 3} | {which: 1}
    result = found(study(runs=runs["old"]), study({"pruned": {"speed": 1.2, "peak_mib": 900}}, runs=runs["new"]))
    assert result["worse"] == []
    change = of(result, "pruned")["changes"]["latency_s"]["absolute"]
    assert change["value"] > 50
    assert change["p_value"] is None
    assert "one run" in change["note"]
    assert ("pruned", "latency_s", "unshown") in reasons(
        found(study(runs=runs["old"]), study(runs=runs["new"]), fail_on=("unshown",))
    )


def test_more_memory_is_worse_by_more_than_it_can_be_read(study):
    more = found(study(), study({"pruned": {"peak_mib": 440}}))
    assert reasons(more) == {("pruned", "peak_memory_bytes", "figures")}
    # The kernel's count is good to a megabyte: 10% of five are no finding.
    small = {"pruned": {"peak_mib": 5.0, "weight_mib": 3}}
    bit_more = {"pruned": {"peak_mib": 5.5, "weight_mib": 3}}
    assert found(study(small), study(bit_more))["worse"] == []


def test_quality_is_compared_prompt_by_prompt(study):
    result = found(study(count=60), study({"pruned": {"damage": 0.7}}, count=60))
    assert ("pruned", "rougeL", "figures") in reasons(result)
    change = of(result, "pruned")["changes"]["rougeL"]["absolute"]
    assert change["note"] == "paired by prompt"
    assert change["verdict"] == "worse"
    output = of(result, "pruned")["output"]
    assert output["state"] == "text changed"
    assert 50 < output["differ"] <= output["prompts"] == 60
    assert ("pruned", None, "text") in reasons(
        found(study(count=60), study({"pruned": {"damage": 0.7}}, count=60), fail_on=("text",))
    )


def test_other_prompts_are_not_paired(study):
    result = found(study(), study(dataset=synthetic.make_dataset(40, seed=5)))
    assert not result["prompts"]["same"]
    assert of(result, "pruned")["changes"]["latency_s"]["absolute"]["note"] == "other prompts in each study"
    assert of(result, "pruned")["output"]["state"] == "not compared"
    # Requests of these differ by a quarter from prompt to prompt, and by 2% between runs of one prompt.
    old, same, other = (simulated(seed, QUIET, prompts_seed=prompts) for seed, prompts in ((0, 0), (1, 0), (1, 9)))
    widths = []
    for new in (same, other):
        for each in (*old["techniques"], *new["techniques"]):
            each["figures"]["latency_s"] |= {"low": 0.195, "high": 0.21}
        change = of(found(old, new), "a")["changes"]["latency_s"]["absolute"]
        widths.append(change["high"] - change["low"])
    assert widths[0] < 3 < 5 < widths[1]


@pytest.mark.parametrize("status", ["failed", "unsupported", "out_of_memory", "invalid"])
def test_a_technique_that_has_lost_its_figures_is_worse(study, status):
    result = found(study(), study({"pruned": {"status": status, "reason": "a kernel is missing"}}))
    assert reasons(result) == {("pruned", None, "status")}
    assert found(study({"pruned": {"status": status, "reason": "x"}}), study())["worse"] == []


def test_what_is_in_one_study_alone_is_said_and_counts_where_it_is_asked_for(study):
    old, new = study(), study()
    new["techniques"] = new["techniques"][:2]
    assert of(found(old, new), "pruned")["in"] == "old"
    assert of(found(new, old), "pruned")["in"] == "new"
    assert found(old, new)["worse"] == []
    assert reasons(found(old, new, fail_on=("missing",))) == {("pruned", None, "missing")}
    assert found(new, old, fail_on=("missing",))["worse"] == []


def test_other_settings_under_the_same_name_are_not_compared(study):
    amount = {"pruned": {"difference": {"pruning": {"method": "magnitude", "amount": 0.5}}, "speed": 0.5}}
    result = found(study(), study(amount))
    assert result["worse"] == []
    row = of(result, "pruned")
    assert row["changes"] == {}
    assert row["settings"] == [{"what": "pruning.amount", "old": "0.3", "new": "0.5"}]


def test_studies_without_a_technique_in_common_are_refused(study):
    old, new = study(), study()
    old["techniques"], new["techniques"] = old["techniques"][:1], new["techniques"][1:]
    with pytest.raises(StudyError, match="no technique in common"):
        found(old, new)


def slower_machine(study, factor=1.5, **changes):
    """Return the study on another, slower machine."""
    speeds = {each.name: {"speed": each.speed / factor} for each in TECHNIQUES}
    speeds |= {name: speeds[name] | changed for name, changed in changes.items()}
    new = study(speeds)
    new["machine"] = new["machine"] | {"cpu_model": "Another CPU"}
    return new


def test_on_another_machine_each_techniques_own_baseline_decides(study):
    result = found(study(), slower_machine(study))
    assert result["decides"] == "baseline"
    assert "processor" in result["why"]
    assert result["worse"] == []
    change = of(result, "pruned")["changes"]["latency_s"]
    assert change["absolute"]["value"] == pytest.approx(50, abs=1)
    assert change["absolute"]["verdict"] == "slower"
    assert change["baseline"]["value"] == pytest.approx(0, abs=1)
    assert of(result, "baseline")["changes"]["latency_s"]["baseline"]["note"] == judging.IS_BASELINE
    # Still worse: what became slower than its baseline did.
    slower = found(study(), slower_machine(study, pruned={"speed": 1.3}))
    assert ("pruned", "latency_s", "figures") in reasons(slower)
    assert ("pruned", "latency_s", "figures") in reasons(found(study(), slower_machine(study), judge="absolute"))


def test_on_another_machine_without_a_baseline_nothing_is_judged(study):
    new = slower_machine(study, baseline={"status": "failed", "reason": "x"})
    result = found(study(), new)
    assert reasons(result) == {("baseline", None, "status")}
    assert of(result, "pruned")["changes"]["latency_s"]["baseline"]["note"] == judging.NO_BASELINE
    assert result["counts"]["untested"] > 0


def test_another_driver_is_an_upgrade_of_the_same_machine(study):
    gpu = {"name": "GPU", "driver": "570.1", "memory_bytes": 1}
    old, new = study(), study()
    old["machine"] = old["machine"] | {"gpus": [gpu]}
    new["machine"] = new["machine"] | {"gpus": [gpu | {"driver": "580.2"}]}
    new["versions"] = new["versions"] | {"torch": "9.9"}
    result = found(old, new)
    assert result["decides"] == "absolute"
    said = {group["title"]: group["entries"] for group in result["differences"] if group["entries"]}
    assert said["Machine"] == [{"what": "GPU driver", "old": "570.1", "new": "580.2"}]
    assert said["Libraries"] == [{"what": "torch", "old": "2.13.0", "new": "9.9"}]


def test_a_slower_calibration_is_said(study):
    old, new = study(), study()
    for technique in new["techniques"]:
        for run in technique["runs"]:
            run["calibration"] = {when: synthetic.make_calibration(0.8) for when in ("before", "after")}
    entries = found(old, new)["differences"][-1]["entries"]
    assert [entry["what"] for entry in entries] == ["reading memory", "copying memory", "matrix products"]
    assert "(-20%)" in entries[0]["new"]


def test_a_file_from_before_variances_were_kept_can_be_compared(study):
    """The interval that it has stands in for them, and finds less rather than more."""
    old, new = study(), slower_machine(study, pruned={"speed": 1.3})
    with_them = of(found(old, new), "pruned")["changes"]["latency_s"]["baseline"]
    for technique in old["techniques"]:
        technique.pop("tokens_digest")
        for figure in (technique["changes"]["baseline"]["figures"] or {}).values():
            figure.pop("log_variance", None)
    old.pop("format")
    without = of(found(old, new), "pruned")["changes"]["latency_s"]["baseline"]
    assert without["value"] == with_them["value"]
    assert without["high"] - without["low"] > with_them["high"] - with_them["low"]
    assert of(found(old, new), "baseline")["output"]["state"] == "same text"


@pytest.mark.parametrize(("pairs", "most"), [(10, 2), pytest.param(60, 7, marks=pytest.mark.slow)])
def test_studies_of_the_same_are_hardly_ever_called_worse(fewer_resamples, pairs, most):
    """Where nothing changed, and where all became slower by exactly the bound, whichever comparison decides.

    At a rate of 5% there are more than so many of so many pairs once in 50 times at most.
    """
    noisy = replace(QUIET, process_sd=0.01, round_sd=0.01)
    at_bound = {"absolute": every(AT_BOUND), "baseline": every(AT_BOUND) | {"a": 1.0}}
    alarms = dict.fromkeys(["absolute", "baseline", "nothing changed"], 0)
    for pair in range(pairs):
        old, same = (simulated(2 * pair + number, noisy, prompts_seed=pair) for number in (0, 1))
        alarms["nothing changed"] += any(judged(old, same, judge) for judge in at_bound)
        for judge, slower in at_bound.items():
            alarms[judge] += bool(judged(old, simulated(2 * pair + 1, noisy, slower, pair), judge))
    assert max(alarms.values()) <= most, alarms


def test_a_slowdown_of_ten_percent_is_found_with_three_runs(fewer_resamples):
    named = [{each["name"] for each in worse(pair, QUIET, {"c3": 1.10})} for pair in range(8)]
    assert sum(names == {"c3"} for names in named) >= 7


def test_a_slowdown_of_everything_is_found_as_it_is_and_not_against_the_baseline(fewer_resamples):
    assert len({each["name"] for each in worse(0, QUIET, every(1.10))}) == 12
    assert worse(0, QUIET, every(1.10), "baseline") == []


def test_a_capacity_is_compared_by_its_searches_and_worse_beyond_its_bound(study):
    def serving(rate):
        return study({"kv_cache": {"serves": rate}})

    same = of(found(serving(60.0), serving(60.0)), "kv_cache")["changes"]["capacity_per_s"]["absolute"]
    assert (same["value"], same["verdict"]) == (0.0, "no measurable difference")
    assert same["low"] < -1 < 1 < same["high"]  # what the searches left open
    fewer = found(serving(60.0), serving(30.0))
    change = of(fewer, "kv_cache")["changes"]["capacity_per_s"]["absolute"]
    assert (change["verdict"], change["bound"]) == ("lower", judging.BEYOND)
    assert ("kv_cache", "capacity_per_s", compare.FIGURES) in reasons(fewer)
    assert of(fewer, "pruned")["changes"]["capacity_per_s"]["absolute"]["note"] == judging.NEITHER


def test_capacities_under_other_limits_are_not_compared(study):
    old, new = (study({"kv_cache": {"serves": 60.0}}) for _ in range(2))
    load = next(each for each in new["techniques"] if each["name"] == "kv_cache")["load"]
    load["settings"]["limits"]["latency_ms"] = 100
    result = found(old, new)
    change = of(result, "kv_cache")["changes"]["capacity_per_s"]
    assert {each["note"] for each in change.values()} == {"not compared: other limits or arrivals"}
    assert not any(key == "capacity_per_s" for _, key, _ in reasons(result))
