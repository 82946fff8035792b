"""Chances of being on a Pareto front: what the draws and the tests say, by hand and over a study."""

import numpy as np
import pytest

from scripts.comparison import fronts, scores
from scripts.comparison.columns import Columns
from tests.support.synthetic_timings import Chance, Technique, make_study


def comparison(spread=None, gains=None, above=None, draws=4):
    return {
        "ranking": {
            "draws": draws,
            "spread": {name: {"latency": scores.pack(np.array(own))} for name, own in (spread or {}).items()},
            "log_gains": {name: {"latency": gain} for name, gain in (gains or {}).items()},
        },
        "fronts": {"above": {} if above is None else {"rougeL": above}},
    }


def chances(points, *arguments, x="latency_s", y="rougeL", low=False, **more):
    found = fronts.chances(points, x, y, low, comparison(*arguments, **more))
    return {name: chance for name, (chance, _) in found.items()}


def test_without_chance_it_is_the_front_of_the_values():
    points = {"a": (1, 1.0), "b": (2, 2.0), "worse": (2, 1.0), "same as b": (2, 2.0), "c": (3, 1.5)}
    assert chances(points) == {"a": 1, "b": 1, "worse": 0, "same as b": 1, "c": 0}
    assert chances({"a": (1, 1.0), "b": (2, 0.5)}, low=True) == {"a": 1, "b": 1}


def test_a_gain_of_quality_that_is_not_shown_puts_nothing_on_the_front():
    points = {"fast": (1, 0.30), "slow": (2, 0.31)}
    assert chances(points, above={"fast": [], "slow": []}) == {"fast": 1, "slow": 0}
    assert chances(points, above={"fast": [], "slow": ["fast"]}) == {"fast": 1, "slow": 1}
    # As fast as the other, and shown to be worse.
    assert chances({"fast": (2, 0.30), "slow": (2, 0.31)}, above={"slow": ["fast"]}) == {"fast": 0, "slow": 1}


def test_the_chance_is_the_share_of_draws():
    points = {"base": (2.0, 0.3), "near": (1.9, 0.3), "better": (9.0, 0.4)}
    gain = float(np.log(2 / 1.9))
    spread = {"near": [gain, gain, -0.1, gain]}
    above = {"better": ["base", "near"]}
    assert chances(points, spread, {"near": gain}, above) == {"base": 0.25, "near": 0.75, "better": 1}
    found = fronts.chances(points, "latency_s", "rougeL", False, comparison(spread, {"near": gain}, above))
    assert found["base"][1] == "near"
    # A figure without draws stands as it was measured.
    assert chances(points, spread, {"near": gain}, above, x="peak_memory_bytes")["base"] == 0


@pytest.fixture(scope="module")
def study():
    names = ("base", "same", "noisy", "worse")
    made = make_study([Technique(name, None if name == "base" else "base") for name in names], Chance(prompts=80))
    samples = {name: made[2][name]["samples"] for name in names}
    rouge = np.array(samples["base"]["rougeL"])
    noise = np.random.default_rng(0).normal(0, 0.05, len(rouge))
    samples["same"]["rougeL"] = rouge.tolist()
    samples["noisy"]["rougeL"] = (rouge + noise - noise.mean() + 0.002).tolist()
    samples["worse"]["rougeL"] = (0.8 * rouge).tolist()
    return made


def rows_of(study, **changes):
    found = {"against": "base", "figures": {"quality_kept_percent_rougeL": {}}, "quality_kept": {"verdict": "kept"}}
    return [
        {
            "name": entry["name"],
            "status": "ok",
            "figures": {},
            "changes": {"baseline": found | changes.get(entry["name"], {})},
        }
        for entry in study[0]["techniques"]
    ]


def test_a_test_over_all_pairs_says_what_is_better(study):
    above = fronts.fronts(rows_of(study), None, Columns(study[2]))["above"]["rougeL"]
    assert above == {"base": ["worse"], "same": ["worse"], "noisy": ["worse"], "worse": []}


@pytest.mark.parametrize(
    ("change", "better"),
    [
        ({"figures": {"quality_kept_percent_rougeL": {"verdict": "no measurable difference"}}}, []),
        ({"quality_kept": {"verdict": "undecided"}}, ["worse"]),
    ],
)
def test_the_reports_own_verdict_on_a_pair_stands(study, change, better):
    above = fronts.fronts(rows_of(study, worse=change), None, Columns(study[2]))["above"]["rougeL"]
    assert above["base"] == better
    assert above["same"] == ["worse"]


def test_a_gain_whose_quality_is_undecided_counts_as_none(study):
    metrics = {name: content | {"samples": dict(content["samples"])} for name, content in study[2].items()}
    metrics["noisy"]["samples"]["rougeL"] = (1.2 * np.array(metrics["base"]["samples"]["rougeL"])).tolist()
    found = [fronts.fronts(rows_of(study, noisy={"quality_kept": {"verdict": verdict}}), None, Columns(metrics))
             for verdict in ("kept", "undecided")]  # fmt: skip
    assert [each["above"]["rougeL"]["noisy"] for each in found] == [["base", "same", "worse"], ["same", "worse"]]


def test_few_prompts_have_no_test():
    study = make_study([Technique("base", None), Technique("other", "base")], Chance(prompts=6))
    assert fronts.fronts(rows_of(study), None, Columns(study[2]))["above"] == {}


def test_samples_a_second_of_single_requests_have_the_draws_of_latency():
    points, spread = {"a": (1.0, 0.3), "b": (1.1, 0.3)}, {"b": [0.0, 0.3, 0.0, 0.0]}
    known = comparison(spread, {"b": 0.0}, {"a": [], "b": []})
    for one_by_one, chance in ((False, 0), (True, 0.25)):
        known["ranking"]["one_by_one"] = one_by_one
        assert fronts.chances(points, "time_per_sample_s", "rougeL", False, known)["b"][0] == chance
