import json

import pytest
import yaml

from scripts.comparison import references
from scripts.comparison.columns import Columns
from scripts.study import references as files
from tests.support.synthetic_study import Technique, built_in_choices, compare, everything, write_study

REFERENCE = {
    "id": "other", "title": "Other", "date": "2024", "baseline": "Plain", "faults": ["one", "two"],
    "columns": [
        {"key": "ms", "title": "Latency", "unit": "ms", "better": "lower", "measures": "latency", "form": "absolute"},
        {"key": "p99", "title": "P99", "unit": "s", "better": "lower", "measures": "p99_latency", "form": "absolute"},
        {"key": "gb", "title": "Room", "unit": "GB", "better": "lower", "measures": "peak_memory", "form": "absolute"},
        {"key": "kept", "title": "Kept", "unit": "%", "better": "higher", "measures": "rouge1", "form": "percent_kept"},
    ],
    "rows": [
        {"name": "Plain", "technique": "baseline", "reported": {"ms": 200, "p99": 0, "gb": 2, "kept": 100}},
        {"name": "Cache", "technique": "kv_cache", "reported": {"ms": 50, "p99": 1.0, "gb": "n/a", "kept": 99}},
        {"name": "Other", "technique": None, "why_none": "nothing like it", "reported": {"ms": 10}},
        {"name": "Gone", "technique": "gone", "reported": {"ms": 10}},
        {"name": "Full", "technique": "full", "reported": {"ms": 10}},
    ],
    "choices": [{"scenario": "edge", "label": "Edge", "recommended": ["Cache", "Everything"]}],
    "top_three": [{"name": "Cache", "overall_percent": 3.5}],
}  # fmt: skip
RANDOM = {
    "models": {"target": {"name": "s", "source": "random", "random_weights": True, "parameters": 9, "dtype": "float32"}}
}


def made(tmp_path, techniques=None, runs=2, **study_changes):
    techniques = techniques or [
        Technique("baseline", None),
        Technique("kv_cache", speed=2, peak_mib=500),
        Technique("full", status="out_of_memory", reason="no room"),
    ]
    study_changes = {"references": [REFERENCE]} | study_changes
    return compare(write_study(tmp_path, techniques, 20, runs, **study_changes))


def rows_of(comparison, place=0):
    return {row["name"]: row for row in comparison["references"][place]["rows"]}


def test_absolute_figures_become_ratios_to_each_studys_own_baseline(tmp_path):
    comparison = made(tmp_path)
    cache = rows_of(comparison)["Cache"]
    change = comparison["techniques"][1]["changes"]["baseline"]["figures"]["latency_change_percent"]
    assert cache["reported_ratio"]["ms"] == 0.25
    assert cache["measured_ratio"]["ms"] == {
        "value": change["ratio"], "low": change["ratio_low"], "high": change["ratio_high"],
    }  # fmt: skip
    assert cache["measured_ratio"]["ms"]["value"] == pytest.approx(0.5, abs=0.03)
    assert cache["measured_ratio"]["gb"] == {"value": 1.25, "low": None, "high": None}
    assert cache["measured_ratio"]["p99"]["low"] is None
    measured = comparison["techniques"][1]["figures"]
    assert cache["measured"]["ms"] == pytest.approx(1000 * measured["latency_s"]["value"])
    assert cache["measured"]["gb"] == pytest.approx(0.524288)
    assert cache["measured"]["kept"] == pytest.approx(100)
    json.dumps(comparison["references"], allow_nan=False)


def test_the_baseline_is_one(tmp_path):
    plain = rows_of(made(tmp_path))["Plain"]
    assert plain["reported_ratio"] == {"ms": 1.0, "p99": None, "gb": 1.0, "kept": 1.0}
    assert plain["reasons"]["reported_ratio"] == {"p99": "what it is held against has no such figure"}
    assert all(ratio["value"] == 1 for ratio in plain["measured_ratio"].values())


def test_what_is_no_number_is_shown_as_printed(tmp_path):
    cache = rows_of(made(tmp_path))["Cache"]
    assert cache["reported"]["gb"] == "n/a"
    assert cache["reported_ratio"]["gb"] is None
    assert cache["reasons"]["reported_ratio"]["gb"] == references.NO_NUMBER


@pytest.mark.parametrize(
    ("name", "reason"),
    [("Other", "nothing like it"), ("Gone", "has no technique 'gone'"), ("Full", "out of memory: no room")],
)
def test_rows_without_a_counterpart_say_why(tmp_path, name, reason):
    row = rows_of(made(tmp_path))[name]
    assert row["reported_ratio"]["ms"] == 0.05
    assert set(row["measured"].values()) == set(row["measured_ratio"].values()) == {None}
    assert all(reason in row["reasons"]["measured"][key] for key in row["measured"])
    assert row["why_none"] == ("nothing like it" if name == "Other" else None)


def test_without_a_baseline_there_are_figures_and_no_ratios(tmp_path):
    techniques = [Technique("baseline", None, status="unsupported", reason="no"), Technique("kv_cache")]
    cache = rows_of(made(tmp_path, techniques))["Cache"]
    assert cache["measured"]["ms"] > 0
    assert cache["measured"]["kept"] is None
    assert set(cache["measured_ratio"].values()) == {None}
    assert "baseline" in cache["reasons"]["measured_ratio"]["ms"]


def test_random_weights_have_speed_and_no_quality(tmp_path):
    techniques = [Technique("baseline", None, changes=RANDOM), Technique("kv_cache", changes=RANDOM)]
    cache = rows_of(made(tmp_path, techniques))["Cache"]
    assert cache["measured_ratio"]["ms"]["value"] > 0
    assert cache["measured_ratio"]["kept"] is None
    assert cache["reasons"]["measured_ratio"]["kept"] == "not measured: random weights"


def test_one_run_has_ratios(tmp_path):
    assert rows_of(made(tmp_path, runs=1))["Cache"]["measured_ratio"]["ms"]["value"] == pytest.approx(0.5, abs=0.03)


def test_units_that_do_not_fit_are_not_converted(tmp_path):
    strange = {"key": "x", "title": "x", "unit": "h", "better": None, "measures": "latency", "form": "absolute"}
    reference = REFERENCE | {"columns": [*REFERENCE["columns"], strange]}
    cache = rows_of(made(tmp_path, references=[reference]))["Cache"]
    assert cache["measured"]["x"] is None
    assert "not the unit" in cache["reasons"]["measured"]["x"]


def test_faults_choices_and_ranking_are_passed_on(tmp_path):
    found = made(tmp_path)["references"][0]
    assert found["faults"] == ["one", "two"]
    assert found["choices"] == [
        {"scenario": "edge", "label": "Edge", "reported": ["Cache", "Everything"], "techniques": ["kv_cache", None],
         "ours": None},
    ]  # fmt: skip
    assert found["top_three"] == [{"name": "Cache", "overall_percent": 3.5, "technique": "kv_cache"}]


def test_a_study_without_references_has_none(tmp_path):
    assert made(tmp_path, references=[])["references"] == []
    assert references.references({}, [], {}, Columns({})) == []


@pytest.fixture(scope="module")
def built_in(tmp_path_factory):
    choices = built_in_choices() | {"references": files.read(["config/references/executive-summary-2024.yaml",
                                                              "config/references/benchmark-2025.yaml"])}  # fmt: skip
    return compare(write_study(tmp_path_factory.mktemp("study"), everything(), 20, 2, **choices))


def test_the_executive_summarys_percentages_are_ratios(built_in):
    rows = rows_of(built_in)
    assert rows["4-bit quantisation"]["reported_ratio"] == {
        "latency": 0.799, "throughput": 1.251, "memory_reduction": 0.4, "quality_kept": 0.993,
    }  # fmt: skip
    assert rows["Speculative decoding"]["reported_ratio"]["memory_reduction"] == 2.0
    for name, printed in (("KV caching", -10), ("30% pruning", -30), ("Tensor parallelism", "distributed")):
        assert rows[name]["reported"]["memory_reduction"] == printed
        assert rows[name]["reported_ratio"]["memory_reduction"] is None
        assert rows[name]["reasons"]["reported_ratio"]["memory_reduction"]
    measured = rows["KV caching"]
    assert measured["measured"]["latency"] == pytest.approx(100 * (1 - measured["measured_ratio"]["latency"]["value"]))
    assert measured["measured"]["throughput"] > 100


def test_the_benchmarks_columns_are_ratios(built_in):
    ratios = rows_of(built_in, 1)["KV caching"]["reported_ratio"]
    assert ratios["avg_latency_s"] == pytest.approx(0.712 / 1.754, rel=1e-5)
    assert ratios["max_gpu_memory_mb"] == 1
    assert rows_of(built_in, 1)["Baseline"]["reported_ratio"]["rougeL"] == 1


def test_every_value_that_is_missing_has_a_reason(built_in):
    for reference in built_in["references"]:
        for row in reference["rows"]:
            for part in ("reported_ratio", "measured", "measured_ratio"):
                missing = {key for key, value in row[part].items() if value is None}
                assert missing == set(row["reasons"][part])


PAIRED = REFERENCE | {
    "rows": [
        {"name": "Plain", "technique": "baseline", "reported": {"ms": 200}},
        {"name": "Large", "technique": "large", "reported": {"ms": 400}},
        {"name": "Drafted", "technique": "drafted", "reported": {"ms": 300},
         "against": {"name": "Large", "technique": "large"}},
        {"name": "Crossed", "technique": "kv_cache", "reported": {"ms": 100},
         "against": {"name": "Large", "technique": "large"}},
        {"name": "Lost", "technique": "kv_cache", "reported": {"ms": 100},
         "against": {"name": "Large", "technique": "gone"}},
    ],
}  # fmt: skip


def test_a_figure_is_held_against_the_same_pair_as_the_references(tmp_path):
    techniques = [
        Technique("baseline", None),
        Technique("kv_cache", speed=2),
        Technique("large", speed=0.5, peak_mib=900),
        Technique("drafted", "large", speed=0.75, peak_mib=1000),
    ]
    comparison = made(tmp_path, techniques, references=[PAIRED])
    rows = rows_of(comparison)
    drafted = rows["Drafted"]
    assert drafted["against"] == {"name": "Large", "technique": "large"}
    assert drafted["reported_ratio"]["ms"] == 0.75
    change = comparison["techniques"][3]["changes"]["parent"]["figures"]["latency_change_percent"]
    assert drafted["measured_ratio"]["ms"]["value"] == change["ratio"] == pytest.approx(0.5 / 0.75, abs=0.03)
    assert drafted["measured_ratio"]["gb"]["value"] == pytest.approx(1000 / 900)
    # Neither parent nor baseline: the same changes all the same, with their interval.
    crossed = rows["Crossed"]["measured_ratio"]["ms"]
    assert crossed["value"] == pytest.approx(0.25, abs=0.02)
    assert crossed["low"] < crossed["value"] < crossed["high"]
    assert rows["Plain"]["against"] == {"name": "Plain", "technique": "baseline"}
    assert rows["Lost"]["measured_ratio"]["ms"] is None
    assert "'gone', which it is held against" in rows["Lost"]["reasons"]["measured_ratio"]["ms"]


def test_speculation_of_the_built_in_references_is_held_against_its_target(built_in):
    config = yaml.safe_load((files.ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))["techniques"]
    found = [row for reference in built_in["references"] for row in reference["rows"]
             if "speculation" in config[row["technique"]]]  # fmt: skip
    assert len(found) == 2
    target = next(row for row in built_in["techniques"] if row["name"] == "speculative")["changes"]["parent"]["figures"]
    for row, column in zip(found, ("throughput", "throughput_samples_per_s"), strict=True):
        assert row["against"]["technique"] == config[row["technique"]]["extends"]
        assert row["measured_ratio"][column]["value"] == target["throughput_change_percent"]["ratio"]
    assert found[1]["reported_ratio"]["throughput_samples_per_s"] == pytest.approx(0.414 / 0.583, rel=1e-5)


def test_the_first_references_notebook_is_among_its_faults(built_in):
    faults = " ".join(built_in["references"][0]["faults"])
    for told in ("0.919 s against 0.452 s", "constants in a fallback branch", "sleeps", "5 new tokens", "10 samples"):
        assert told in faults
