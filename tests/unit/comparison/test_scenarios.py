"""Choices under limits and weights, and what would change them: every change is tried."""

import copy

import numpy as np
import pytest
import yaml

from scripts.comparison import limits, scores
from scripts.comparison.scenarios import scenarios
from scripts.hardware import datasheet, fit
from scripts.report import limits as worded
from tests.support.synthetic_study import ROOT, built_in_choices, compare, everything, write_study

VALUES = {
    "p99_latency_s": 0.2, "peak_memory_gb": 4.0, "peak_memory_ratio": 0.5, "needed_bytes_per_device": 20e9,
    "quality_kept_percent": 99.0, "quality_kept_low_percent": 94.0, "devices": 2, "cost_per_million": 300.0,
    "batch_size": 8, "throughput_samples_per_s": 20.0, "capacity_per_s": 40.0,
}  # fmt: skip
EQUAL = {"latency": 1, "throughput": 1, "memory": 1, "quality": 1}
LATENCY = {"latency": 1, "throughput": 0, "memory": 0, "quality": 0}


def made(gains, values=None, spread=None, criteria=None):
    """A ranking by hand; ``gains`` in the criteria's order, ``values`` what differs from VALUES."""
    criteria = criteria or list(EQUAL)
    return {
        "weights": EQUAL,
        "one_by_one": False,
        "criteria": criteria,
        "reference": next(iter(gains)),
        "draws": 4,
        "log_gains": {name: dict(zip(criteria, own, strict=False)) for name, own in gains.items()},
        "spread": {
            name: {key: scores.pack(np.array(drawn)) for key, drawn in own.items()}
            for name, own in (spread or {}).items()
        },
        "limit_values": {name: VALUES | (values or {}).get(name, {}) for name in gains},
    }


def choose(ranking, bounds=None, weights=None, **entry):
    rows = [{"name": name, "status": "ok"} for name in ranking["log_gains"]]
    study = {"scenarios": {"some": {"limits": bounds or {}, "weights": weights or EQUAL, **entry}}}
    return scenarios(study, rows, ranking)[0]


@pytest.mark.parametrize(
    ("limit", "key", "outward"),
    [
        ("max_p99_latency_s", "p99_latency_s", 1),
        ("max_peak_memory_gb", "peak_memory_gb", 1),
        ("max_peak_memory_ratio", "peak_memory_ratio", 1),
        ("max_devices", "devices", 1),
        ("max_cost_per_million", "cost_per_million", 1),
        ("max_batch_size", "batch_size", 1),
        ("min_devices", "devices", -1),
        ("min_throughput_samples_per_s", "throughput_samples_per_s", -1),
        ("min_capacity_per_s", "capacity_per_s", -1),
        ("min_quality_kept_percent", "quality_kept_percent", -1),
    ],
)
def test_a_limit_is_met_up_to_its_bound(limit, key, outward):
    value = VALUES[key]
    assert limits.failing(VALUES, {limit: value}) == []
    assert limits.failing(VALUES, {limit: value * (1 + 0.01 * outward)}) == []
    tight = value * (1 - 0.01 * outward)
    assert limits.failing(VALUES, {limit: tight}) == [{"limit": limit, "value": value, "bound": tight}]
    unknown = VALUES | {key: None}
    assert limits.failing(unknown, {limit: value}) == [{"limit": limit, "value": None, "bound": value}]
    assert limits.failing(unknown, {limit: None}) == []


def test_quality_can_be_asked_for_as_shown():
    bounds = {"min_quality_kept_percent": 95}
    assert limits.failing(VALUES, bounds | {"quality": "mean"}) == []
    failed = [{"limit": "min_quality_kept_percent", "value": 94.0, "bound": 95}]
    assert limits.failing(VALUES, bounds | {"quality": "shown"}) == failed
    assert limits.failing(VALUES, {"quality": "shown"}) == []


def test_a_gpu_keeps_its_headroom_free():
    gpu = datasheet.devices()[0]
    usable = gpu.memory_bytes * (1 - fit.HEADROOM)
    bounds = {"fits_gpu": gpu.label}
    assert limits.failing(VALUES | {"needed_bytes_per_device": usable}, bounds) == []
    failed = limits.failing(VALUES | {"needed_bytes_per_device": usable + 1}, bounds)
    assert failed == [{"limit": "fits_gpu", "value": usable + 1, "bound": gpu.label}]
    assert limits.failing(VALUES | {"needed_bytes_per_device": None}, bounds)[0]["value"] is None


def test_the_best_of_those_that_qualify_wins():
    gains = {"a": [0.0] * 4, "b": [0.4] * 4, "c": [0.2] * 4, "d": [0.3] * 4}
    found = choose(made(gains, {"b": {"devices": 4, "batch_size": 16}}), {"max_devices": 2, "max_batch_size": 8})
    assert (found["winner"], found["runner_up"]) == ("d", "c")
    assert found["qualifying"] == ["a", "c", "d"]
    assert [row["technique"] for row in found["ranked"]] == ["d", "c", "a"]
    assert found["ranked"][0]["score"] == pytest.approx(np.exp(0.3))
    assert found["failing"] == {
        "b": [{"limit": "max_devices", "value": 4, "bound": 2}, {"limit": "max_batch_size", "value": 16, "bound": 8}]
    }


def test_chances_are_among_those_that_qualify():
    spread = {
        "a": {"latency": [0.0, 0.1, 0.2, 0.3]},
        "b": {"latency": [0.05, 0.05, 0.05, 0.05001]},
        "out": {"latency": [0.9, 0.9, 0.9, 0.91]},
    }
    ranking = made({"a": [0.15], "b": [0.05], "out": [0.9]}, {"out": {"devices": 9}}, spread, ["latency"])
    found = choose(ranking, {"max_devices": 2}, LATENCY)
    assert {row["technique"]: row["chance_best"] for row in found["ranked"]} == {"a": 0.75, "b": 0.25}
    assert found["changes"][0] == {"kind": "chance", "technique": "b", "chance_best": 0.25}
    assert found["ranked"][0]["low"] == pytest.approx(np.exp(np.quantile([0, 0.1, 0.2, 0.3], 0.025)), rel=1e-4)


def test_draws_that_are_equal_are_shared():
    drawn = np.array([0.1, 0.3, 0.2, 0.5])
    spread = {"a": {"latency": drawn}, "b": {"latency": drawn + 1e-12}}  # rounding is no difference
    found = choose(made({"a": [0.2], "b": [0.2]}, None, spread, ["latency"]), None, LATENCY)
    assert [(row["technique"], row["chance_best"]) for row in found["ranked"]] == [("a", 0.5), ("b", 0.5)]


def test_a_scenario_says_what_it_was_asked():
    ranking = made({"a": [0.0] * 4})
    rows = [{"name": "a", "status": "ok"}]
    own = {"latency": 5, "throughput": 0, "capacity": 0, "memory": 0, "quality": 1}
    study = {
        "ranking": {"weights": own},
        "scenarios": {"gone": None, "bare": {"limits": {"max_devices": None}}, "part": {"weights": {"memory": 2}}},
    }
    bare, part = scenarios(study, rows, ranking)
    assert (bare["name"], bare["label"], bare["description"], bare["limits"]) == ("bare", "bare", "", {})
    assert bare["weights"] == own
    assert part["weights"] == {"latency": 0, "throughput": 0, "capacity": 0, "memory": 2, "quality": 0}
    nothing = scenarios(study, [], None)
    assert [(found["winner"], found["qualifying"], found["weights"]) for found in nothing] == [
        (None, [], own), (None, [], part["weights"]),
    ]  # fmt: skip


def test_what_was_not_measured_does_not_qualify():
    ranking = made({"a": [0.0] * 4, "b": [0.5] * 3})
    assert choose(ranking)["failing"] == {"b": [{"limit": "quality", "value": None, "bound": None}]}
    assert choose(ranking, weights=LATENCY)["winner"] == "b"


def test_where_only_what_was_left_out_counts_nothing_qualifies():
    ranking = made({"a": [0.0] * 3, "b": [0.5] * 3}, criteria=["latency", "throughput", "memory"])
    found = choose(ranking, weights=dict.fromkeys(EQUAL, 0) | {"quality": 1})
    assert (found["winner"], found["ranked"], found["changes"]) == (None, [], [])
    assert set(found["failing"]) == {"a", "b"}
    assert choose(ranking, weights=EQUAL)["winner"] == "b"


def test_techniques_that_did_not_run_are_no_candidates():
    ranking = made({"a": [0.0] * 4})
    ranking["limit_values"]["failed"] = VALUES
    rows = [{"name": "failed", "status": "unsupported"}, {"name": "a", "status": "ok"}]
    found = scenarios({"scenarios": {"some": {"limits": {"max_devices": 1}}}}, rows, ranking)[0]
    assert set(found["failing"]) == {"a"}


def test_a_limit_that_keeps_out_a_better_one_is_named():
    gains = {"a": [0.0] * 4, "better": [0.3] * 4, "best": [0.5] * 4, "worse": [-0.1] * 4, "twice": [0.9] * 4}
    values = {
        "better": {"p99_latency_s": 0.25},
        "best": {"p99_latency_s": 0.4},
        "worse": {"devices": 3},
        "twice": {"devices": 3, "p99_latency_s": 0.3},
    }
    found = choose(made(gains, values), {"max_p99_latency_s": 0.2, "max_devices": 2})
    assert found["winner"] == "a"
    assert found["changes"] == [
        {"kind": "limit", "limit": "max_p99_latency_s", "bound": 0.2, "needed": 0.4, "technique": "best"}
    ]


def test_where_none_qualifies_the_least_relaxation_is_named():
    gains = {"a": [0.0] * 4, "b": [0.5] * 4, "c": [0.9] * 4}
    values = {
        "a": {"peak_memory_ratio": 0.8},
        "b": {"peak_memory_ratio": 1.2},
        "c": {"peak_memory_ratio": 0.7, "devices": 3},
    }
    found = choose(made(gains, values), {"max_peak_memory_ratio": 0.6, "max_devices": 2})
    assert found["winner"] is None
    assert found["changes"] == [
        {"kind": "limit", "limit": "max_peak_memory_ratio", "bound": 0.6, "needed": 0.8, "technique": "a"}
    ]


def test_a_larger_gpu_is_named():
    small, *_ = sorted(datasheet.devices(), key=lambda gpu: gpu.memory_bytes)
    ranking = made({"a": [0.0] * 4, "b": [0.5] * 4}, {"a": {"needed_bytes_per_device": 1e9}})
    found = choose(ranking, {"fits_gpu": small.label})
    change = found["changes"][0]
    assert (change["technique"], change["bound"], change["needed"]) == ("b", small.label, fit.smallest(20e9).label)
    huge = made({"a": [0.0] * 4}, {"a": {"needed_bytes_per_device": 1e15}})
    assert choose(huge, {"fits_gpu": small.label})["changes"] == []


def test_the_weight_that_tips_the_choice_is_solved_for():
    # a leads by 2 * 0.5 - 1 * 0.7 = 0.3. Below a weight of 1.4 of latency, or above 1.4286 of memory, b does.
    ranking = made({"a": [0.5, 0.0, 0.0, 0.0], "b": [0.0, 0.0, 0.7, 0.0]})
    found = choose(ranking, weights={"latency": 2, "throughput": 0, "memory": 1, "quality": 0})
    assert found["winner"] == "a"
    assert found["changes"] == [
        {"kind": "weight", "criterion": "memory", "from": 1, "to": 1.43, "technique": "b"},
        {"kind": "weight", "criterion": "latency", "from": 2, "to": 1.39, "technique": "b"},
    ]


def test_no_weight_is_raised_beyond_reason():
    for gain, told in ((0.06, True), (0.04, False)):  # meets at 1 / gain + 1 = 17.7 and 26; the weights add up to 2
        ranking = made({"a": [1.0, 0.0, 0.0, 0.0], "b": [0.0, gain, gain, 0.0]})
        found = choose(ranking, weights={"latency": 1, "throughput": 0, "memory": 1, "quality": 0})
        raised = [change for change in found["changes"] if change.get("to", 0) > 2]
        assert bool(raised) == told


def test_every_change_does_what_it_says():
    """Over random techniques: made, it changes the winner; of the weights, nothing much smaller does."""
    draw = np.random.default_rng(4)
    kinds = {"limit": 0, "weight": 0}
    for _ in range(80):
        names = [f"t{number}" for number in range(7)]
        gains = {name: draw.normal(0, 0.3, 4).tolist() for name in names}
        values = {
            name: {
                "peak_memory_ratio": float(draw.uniform(0.5, 1.5)),
                "devices": int(draw.integers(1, 4)),
                "quality_kept_percent": float(draw.uniform(90, 105)),
                "needed_bytes_per_device": float(draw.uniform(1e9, 9e10)),
            }
            for name in names
        }
        ranking = made(gains, values)
        bounds = {"max_peak_memory_ratio": 1.0, "max_devices": 2, "min_quality_kept_percent": 95, "fits_gpu": "T4 16GB"}
        bounds = {key: bounds[key] for key in draw.choice(list(bounds), 2, replace=False)}
        weights = dict(zip(EQUAL, draw.integers(0, 4, 4).tolist(), strict=True)) | {"latency": 1}
        found = choose(ranking, bounds, weights)
        assert len(found["changes"]) <= 4
        for change in found["changes"]:
            changed_limits, changed_weights = copy.deepcopy((bounds, weights))
            if change["kind"] == "limit":
                changed_limits[change["limit"]] = change["needed"]
            elif change["kind"] == "weight":
                changed_weights[change["criterion"]] = change["to"]
            else:
                continue
            kinds[change["kind"]] += 1
            assert change["technique"] != found["winner"]
            assert choose(ranking, changed_limits, changed_weights)["winner"] == change["technique"], change
            if change["kind"] == "weight":
                # Rounded to three digits, the change is at most 1% of the weight larger than it need be.
                inward = 0.011 * change["to"] * np.sign(change["from"] - change["to"])
                nearly = weights | {change["criterion"]: change["to"] + inward}
                assert choose(ranking, bounds, nearly)["winner"] == found["winner"]
    assert min(kinds.values()) > 50, kinds


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    return compare(write_study(root, everything(), count=30, runs=3, **built_in_choices()))


def test_the_built_in_scenarios_choose_among_very_different_techniques(whole):
    found = {scenario["name"]: scenario for scenario in whole["scenarios"]}
    assert len(found) == 8
    served = {technique["name"] for technique in whole["techniques"] if technique["load"]}
    assert set(found["server_under_traffic"]["qualifying"]) <= served
    devices = {name: values["devices"] for name, values in whole["ranking"]["limit_values"].items()}
    assert devices["tensor_parallel_4"] == 4  # it failed here
    assert devices[found["multi_gpu_cluster"]["winner"]] >= 2
    assert devices[found["single_gpu_server"]["winner"]] == 1
    assert found["ultra_low_latency"]["winner"] == "compiled"
    assert found["highest_quality"]["winner"] in ("target_only", "speculative")
    assert set(found["memory_constrained"]["qualifying"]) <= {"int8", "nf4", "bf16"}
    assert found["memory_constrained"]["winner"]
    ran = {technique["name"] for technique in whole["techniques"] if technique["status"] == "ok"}
    for scenario in found.values():
        assert set(scenario["qualifying"]) | set(scenario["failing"]) == ran
        assert set(scenario["qualifying"]).isdisjoint(scenario["failing"])


def test_without_limits_and_with_the_studys_weights_a_scenario_is_the_overall_ranking(whole):
    balanced = next(scenario for scenario in whole["scenarios"] if scenario["name"] == "balanced")
    overall = [{key: row[key] for key in row if key != "rank"} for row in whole["ranking"]["overall"]]
    assert balanced["ranked"] == overall


def test_scenarios_keep_the_order_of_the_configuration():
    entries = {"b": {"limits": {}}, "a": {"limits": {}}}
    found = scenarios({"scenarios": dict(sorted(entries.items())), "scenario_order": list(entries)}, [], None)
    assert [scenario["name"] for scenario in found] == ["b", "a"]


def test_a_limit_that_nothing_meets_is_named_with_the_nearest():
    values = {"a": {"p99_latency_s": 0.3}, "b": {"p99_latency_s": 0.2}, "c": {"p99_latency_s": None}}
    ranking = made({"a": [0.1] * 4, "b": [0.0] * 4, "c": [0.2] * 4}, values)
    found = choose(ranking, {"max_p99_latency_s": 0.1, "max_devices": 2, "min_quality_kept_percent": 99.5})
    assert found["winner"] is None
    assert found["unmet"] == [
        {"limit": "max_p99_latency_s", "bound": 0.1, "technique": "b", "value": 0.2},
        {"limit": "min_quality_kept_percent", "bound": 99.5, "technique": "a", "value": 99.0},
    ]
    assert choose(ranking, {"max_p99_latency_s": 0.2})["unmet"] == []
    unknown = {name: {"cost_per_million": None} for name in values}
    found = choose(made({"a": [0.1] * 4}, unknown), {"max_cost_per_million": 1})
    assert found["unmet"] == [{"limit": "max_cost_per_million", "bound": 1, "technique": None, "value": None}]


def test_several_devices_are_held_against_the_best_on_one():
    values = {"alone": {"devices": 1}, "bad": {"devices": 1, "quality_kept_percent": 10.0}}
    gains = {"alone": [0.5] * 4, "bad": [0.9] * 4, "two": [0.2] * 4}
    bounds = {"min_devices": 2, "min_quality_kept_percent": 95}
    found = choose(made(gains, values, {"two": {"latency": [0.1, 0.2, 0.3, 9.0]}}), bounds)
    assert found["winner"] == "two"
    assert found["one_device"] == {
        "technique": "alone", "score": pytest.approx(np.exp(0.5)), "winner_score": pytest.approx(np.exp(0.2)),
        "chance": 0.25, "beaten": False, "on_gpus": False,
    }  # fmt: skip
    assert choose(made(gains | {"two": [0.6] * 4}, values), bounds)["one_device"]["beaten"]
    assert choose(made(gains, values), {"min_devices": 1})["one_device"] is None
    assert choose(made({"two": [0.2] * 4}), bounds)["one_device"] is None


def test_every_limit_of_a_study_is_one_that_a_choice_knows_and_the_report_can_tell():
    schema = yaml.safe_load((ROOT / "config" / "config.schema.yaml").read_text(encoding="utf-8"))
    keys = set(schema["$defs"]["scenario"]["properties"]["limits"]["properties"]) - {"quality"}
    assert keys == set(limits.BOUNDED)
    assert keys == {limit.key for limit in worded.LIMITS} | {worded.RATIO, worded.GPU}
    assert set(limits.BOUNDED.values()) <= set(VALUES)


UNDER_LOAD = {"latency": 0, "throughput": 0, "capacity": 3, "memory": 0, "quality": 1}


def server(ranking, loaded, **entry):
    """The scenarios of a study with one for a server, where some techniques were put under load."""
    rows = [
        {"name": name, "status": "ok", "load": {"status": "ok"} if name in loaded else None}
        for name in ranking["log_gains"]
    ]
    study = {"scenarios": {"server": {"weights": UNDER_LOAD, **entry}, "other": {"weights": LATENCY}}}
    return {found["name"]: found for found in scenarios(study, rows, ranking)}


def test_a_server_under_load_is_chosen_among_those_that_were_put_under_load():
    criteria = ["latency", "quality", "capacity"]
    ranking = made({"a": [9.0, 0.0], "b": [0.0, 0.0, 0.0], "c": [0.1, 0.0, 0.7]}, criteria=criteria)
    found = server(ranking, {"b", "c"})["server"]
    assert (found["winner"], found["runner_up"]) == ("c", "b")
    assert found["failing"] == {"a": [{"limit": "capacity", "value": None, "bound": None}]}


@pytest.mark.parametrize("entry", [{}, {"weights": LATENCY, "limits": {"min_capacity_per_s": 10}}])
def test_a_scenario_of_a_server_is_left_out_where_nothing_was_put_under_load(entry):
    ranking = made({"a": [0.0] * 4, "b": [0.5] * 4})
    assert list(server(ranking, set(), **entry)) == ["other"]
    assert list(server(ranking, {"a"}, **entry)) == ["server", "other"]


def test_where_no_server_keeps_its_limits_none_is_chosen_by_the_other_criteria():
    found = server(made({"a": [0.0] * 4, "b": [0.5] * 4}), {"a", "b"})["server"]
    assert (found["winner"], found["qualifying"]) == (None, [])
    assert found["failing"]["b"] == [{"limit": "capacity", "value": None, "bound": None}]
