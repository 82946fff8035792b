import copy

import pytest

from scripts.report import limits
from scripts.report.limits import Words
from scripts.report.sections import overall as overall_view
from scripts.report.sections import scenarios as scenarios_view
from scripts.report.sections import yours as yours_view
from tests.support.report_pages import rendered, visible
from tests.support.synthetic_study import Technique, compare, everything, write_study

LIMIT = {"kind": "limit", "technique": "fast"}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    techniques = [
        Technique("baseline", None, "Plain"),
        Technique("fast", label="Fast", speed=3),
        Technique("small", label="Small", speed=1.5, peak_mib=200, damage=0.6, seed=3),
        Technique("broken", status="unsupported", reason="no GPU"),
    ]
    return compare(write_study(tmp_path_factory.mktemp("decision"), techniques, count=20, runs=2))


@pytest.fixture
def study(compared):
    """A comparison whose ranking and one scenario are set by hand."""
    study = copy.deepcopy(compared)
    values = {
        "p99_latency_s": 0.3, "peak_memory_gb": 0.42, "peak_memory_ratio": 1.0, "needed_bytes_per_device": 9e8,
        "quality_kept_percent": 100.0, "quality_kept_low_percent": 100.0, "devices": 1, "cost_per_million": None,
        "throughput_samples_per_s": 4.0,
        "batch_size": 1,
    }  # fmt: skip
    study["ranking"] = {
        "weights": {"latency": 1, "throughput": 0, "memory": 1, "quality": 3},
        "criteria": ["latency", "throughput", "memory", "quality"],
        "left_out": {},
        "reference": "baseline",
        "draws": 1000,
        "covers": "prompts and runs",
        "log_gains": {name: {} for name in ("baseline", "fast", "small")},
        "spread": {},
        "limit_values": {
            "baseline": values,
            "fast": values | {"p99_latency_s": 0.1},
            "small": values | {"p99_latency_s": 0.2, "peak_memory_gb": 0.21, "peak_memory_ratio": 0.5},
        },
        "overall": ranked(("fast", 1.624, 0.97), ("small", 1.1, 0.03), ("baseline", 1.0, 0.0)),
    }
    study["scenarios"] = [scenario()]
    for entry in study["techniques"]:
        entry["figures"]["latency_p99_s"]["statistic"] = "percentile"
    return study


def ranked(*entries):
    return [
        {"technique": name, "score": score, "low": score - 0.05, "high": score + 0.05, "chance_best": chance, "rank": n}
        for n, (name, score, chance) in enumerate(entries, start=1)
    ]


def scenario(**changes):
    return {
        "name": "edge",
        "label": "Edge",
        "description": "A small device.",
        "limits": {"max_p99_latency_s": 0.25, "max_peak_memory_ratio": 0.7, "min_quality_kept_percent": 95},
        "weights": {"latency": 1, "throughput": 0, "memory": 2, "quality": 0},
        "qualifying": ["small"],
        "failing": {"fast": [{"limit": "max_peak_memory_ratio", "value": 1.0, "bound": 0.7}],
                    "baseline": [{"limit": "max_p99_latency_s", "value": 0.3, "bound": 0.25},
                                 {"limit": "quality", "value": None, "bound": None}]},
        "ranked": ranked(("small", 1.4, 1.0)),
        "winner": "small",
        "runner_up": None,
        "changes": [],
        "unmet": [],
        "one_device": None,
    } | changes  # fmt: skip


def test_without_draws_no_chance_is_claimed(study):
    for entry in study["ranking"]["overall"]:
        entry.update(low=None, high=None, chance_best=None)
    study["ranking"] |= {"draws": 0, "covers": "neither prompts nor runs: 3 prompts are too few"}
    shown = overall_view.overall(study)
    assert shown["covers"].startswith("No interval and no chance can be given")
    assert shown["ranked"][0]["chance"] == "not known"
    assert not shown["ranked"][0]["sure"]


def test_the_top_three_state_their_figures_and_how_they_are_made(study):
    shown = overall_view.overall(study)
    first = shown["ranked"][0]
    assert (first["score"], first["interval"], first["chance"]) == (
        "1.62\N{MULTIPLICATION SIGN}",
        "1.57\N{EN DASH}1.67",
        "97%",
    )
    latency, memory, quality = first["facts"]
    assert latency["title"] == "Speed-up"
    assert latency["text"].startswith("3.0")
    assert latency["tone"] == "good"
    assert memory["under"].endswith("MB")
    assert quality == {"title": "ROUGE-L kept", "text": "100.0%", "tone": "good", "under": "same text",
                       "verdict": "quality kept"}  # fmt: skip
    assert first["why"]
    assert "gains over the baseline" in shown["method"]
    assert "ROUGE-L 3" in shown["method"]
    assert "1,000 draws; they cover prompts and runs." in shown["covers"]


def test_the_form_has_the_units_of_the_data(study):
    form = yours_view.yours(study)
    fields = {field["key"]: field for field in form["fields"]}
    assert (fields["max_p99_latency_s"]["unit"], fields["max_peak_memory_gb"]["unit"]) == ("ms", "MB")
    assert fields["max_cost_per_million"]["unit"] == form["currency"] == "USD"
    assert form["gpus"]
    assert form["gpus_missing"] == ""
    for values in study["ranking"]["limit_values"].values():
        values["needed_bytes_per_device"] = None
    assert "was not measured" in yours_view.yours(study)["gpus_missing"]


def test_a_criterion_that_does_not_count_says_why(study):
    study["ranking"] |= {"criteria": ["latency", "memory"], "left_out": {"quality": "the weights are random"}}
    assert "Left out: ROUGE-L (the weights are random)." in overall_view.overall(study)["method"]
    assert {w["key"]: w["reason"] for w in yours_view.yours(study)["weights"]}["quality"] == "the weights are random"


def test_a_scenario_in_words(study):
    (shown,) = scenarios_view.scenarios(study)["scenarios"]
    assert shown["rules"] == [
        "P99 latency at most 250 ms",
        "ROUGE-L at least 95% of the baseline's",
        "peak memory at most 0.7\N{MULTIPLICATION SIGN} that of the baseline (294 MB)",
    ]
    assert shown["weights"] == "weights: latency 1, peak memory 2"
    assert shown["winner"]["label"] == "Small"
    assert shown["runner_up"] is None
    assert [entry["reasons"] for entry in shown["failing"]] == [
        [
            "peak memory 1\N{MULTIPLICATION SIGN} that of the baseline, "
            "above 0.7\N{MULTIPLICATION SIGN} that of the baseline"
        ],
        ["P99 latency 300 ms, above 250 ms", "ROUGE-L was not measured"],
    ]


def test_with_too_few_prompts_a_limit_is_on_the_slowest_request_and_says_so(study):
    for entry in study["techniques"]:
        entry["figures"]["latency_p99_s"] |= {"statistic": "slowest", "requests": 40}
    (shown,) = scenarios_view.scenarios(study)["scenarios"]
    assert shown["rules"][0] == "slowest of 40 requests at most 250 ms"
    assert shown["failing"][1]["reasons"][0] == "slowest of 40 requests 300 ms, above 250 ms"
    fields = {field["key"]: field for field in yours_view.yours(study)["fields"]}
    assert fields["max_p99_latency_s"]["title"] == "slowest of 40 requests"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "chance", "technique": "fast", "chance_best": 0.22},
         "Fast may be the best as well: its chance is 22%."),
        ({"kind": "weight", "criterion": "memory", "from": 3, "to": 0.427, "technique": "fast"},
         "If peak memory counted 0.14\N{MULTIPLICATION SIGN} as much: Fast leads."),
        ({"kind": "weight", "criterion": "memory", "from": 0, "to": 0.4, "technique": "fast"},
         "If peak memory weighed 0.4: Fast leads."),
        ({"kind": "weight", "criterion": "memory", "from": 2, "to": 0, "technique": "fast"},
         "If peak memory did not count: Fast leads."),
        (LIMIT | {"limit": "max_p99_latency_s", "bound": 0.05, "needed": 0.061232},
         "With P99 latency at most 61.3 ms instead of 50 ms: Fast leads."),
        (LIMIT | {"limit": "min_quality_kept_percent", "bound": 95, "needed": 89.58},
         "With ROUGE-L at least 89.5% of the baseline's instead of 95%: Fast leads."),
        (LIMIT | {"limit": "max_peak_memory_ratio", "bound": 0.7, "needed": 1.2341},
         "With peak memory at most 1.24\N{MULTIPLICATION SIGN} that of the baseline "
         "instead of 0.7\N{MULTIPLICATION SIGN}: Fast leads."),
        (LIMIT | {"limit": "min_devices", "bound": 2, "needed": 1},
         "With devices at least 1 instead of 2: Fast leads."),
        (LIMIT | {"limit": "fits_gpu", "bound": "RTX 4070 12GB", "needed": "H100 80GB"},
         "On H100 80GB instead of RTX 4070 12GB: Fast leads."),
    ],
)  # fmt: skip
def test_what_would_change_a_choice(study, change, said):
    assert Words(study).change(change, chosen=True) == said
    if change["kind"] == "limit":
        assert Words(study).change(change, chosen=False) == said.replace("leads", "qualifies")


def test_weights_that_nobody_would_choose_change_nothing(study):
    far = {"kind": "weight", "criterion": "memory", "from": 1, "to": 0.0702, "technique": "fast"}
    two = {"ranked": ranked(("small", 1.4, 0.9), ("fast", 1.2, 0.1)), "runner_up": "fast"}
    study["scenarios"] = [scenario(changes=[far], **two)]
    (shown,) = scenarios_view.scenarios(study)["scenarios"]
    assert shown["changes"] == ["Stable: no plausible weights change it."]
    study["scenarios"] = [scenario(changes=[far | {"to": 1.7}], **two)]
    (shown,) = scenarios_view.scenarios(study)["scenarios"]
    assert shown["changes"] == ["If peak memory counted 1.7\N{MULTIPLICATION SIGN} as much: Fast leads."]


def test_a_relaxed_limit_still_lets_the_technique_in(study):
    words = Words(study)
    for value in (0.061232, 0.0999999, 0.1, 0.3):
        assert words.outward("max_p99_latency_s", value) >= value * (1 - 1e-12)
        assert words.outward("min_quality_kept_percent", 100 * value) <= 100 * value * (1 + 1e-12)


def test_weights_in_words():
    every = list(limits.CRITERIA)
    assert limits.weights(dict.fromkeys(every, 2), every).endswith("and ROUGE-L weigh the same")
    assert limits.weights({"memory": 1}, every) == "peak memory alone counts"
    assert limits.weights({"quality": 1}, ["latency"]) == "no weights"


def test_page_with_none_qualifying(study):
    study["scenarios"] = [scenario(winner=None, ranked=[], qualifying=[])]
    text = visible(rendered(study))
    assert "None qualifies." in text
    assert "What would have to give" in text


def test_a_lone_technique_is_no_winner_over_others(study):
    (shown,) = scenarios_view.scenarios(study)["scenarios"]
    assert (shown["lead"], shown["alone"]) == ("Only", "No other technique qualifies, so nothing was compared.")
    assert shown["changes"] == []
    assert "Only Small" in visible(rendered(study))
    assert scenarios_view.short(study)["scenarios"][0]["winner"] == "only Small qualifies; nothing was compared"
    study["scenarios"] = [scenario(ranked=ranked(("small", 1.4, 0.9), ("fast", 1.2, 0.1)), runner_up="fast")]
    (shown,) = scenarios_view.scenarios(study)["scenarios"]
    assert (shown["lead"], shown["alone"]) == ("Use", "")


def test_the_only_technique_that_ran_was_compared_with_none(small):
    comparison = small([Technique("baseline", None, "Plain")], scenarios={"any": {"label": "Any"}})
    (shown,) = scenarios_view.scenarios(comparison)["scenarios"]
    assert (shown["lead"], shown["alone"]) == ("Only", "No other technique ran, so nothing was compared.")
    assert overall_view.overall(comparison)["ranked"][0]["chance"] == "not compared"
    text = visible(rendered(comparison))
    assert "Rank 1 of 1" not in text
    assert "First in the scenario" not in text


def test_page_where_nothing_ran(small):
    broken = [Technique("baseline", None, status="unsupported", reason="no GPU")]
    comparison = small(broken)
    assert comparison["ranking"] is None
    source = rendered(comparison, numbers=comparison)
    assert "Nothing can be recommended: the only technique did not run to the end." in visible(source)
    assert '<form id="limits"' not in source


def test_the_built_in_study_s_scenarios_are_all_told(tmp_path):
    written = write_study(tmp_path, everything(), count=20, runs=2)
    written["study"]["scenarios"] = {
        "all": {"label": "All", "limits": {}, "weights": None},
        "none": {"label": "None", "limits": {"max_p99_latency_s": 1e-6}, "weights": None},
    }
    comparison = compare(written)
    told = {entry["name"]: entry for entry in scenarios_view.scenarios(comparison)["scenarios"]}
    assert told["all"]["rules"] == ["no limits"]
    assert told["all"]["winner"]["name"] == "compiled"
    assert told["none"]["winner"] is None
    assert told["none"]["qualifying"] == 0
    assert told["none"]["changes"][0].startswith("With slowest of 40 requests at most")
