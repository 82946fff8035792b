import pytest

from scripts.comparison import shapes
from scripts.metrics import figures
from tests.support.synthetic_study import compare, everything, write_study

TOKENS = [[0.1, 0.2, 0.4], [0.1, 0.3], [0.2, 0.25, 0.35, 0.5], [0.1, 0.2, 0.3], [0.1, 0.4, 0.5], [0.3]]


def content(latency=(0.6, 0.3, 0.5, 0.4, 0.2, 0.35), times=TOKENS, runs=1, **changes):
    """Metrics of a technique that took so long for each prompt, and its tokens' times in run 1."""
    samples = {
        "id": [f"{n:02d}" for n in range(len(latency))],
        "run_latency_s": [list(latency)] * runs,
        "token_times_s": times,
    }
    rate = figures.missing("1", "no speculation")
    return {"status": "ok", "figures": {"acceptance_rate": rate}, "samples": samples} | changes


def speculating(accepted, rejected, rate=0.5, histogram=(1, 2, 3), note=None):
    samples = content()["samples"] | {
        "accepted_tokens": accepted, "rejected_tokens": rejected, "rounds": [2] * len(accepted),
    }  # fmt: skip
    evidence = {"speculation": {"accepted_per_round_histogram": list(histogram)}} if histogram else {}
    figure = figures.figure(rate, "1", len(accepted), note=note)
    return content(samples=samples, figures={"acceptance_rate": figure}, evidence=evidence)


def of(made):
    return shapes.shapes({"a": made}, "a")["a"]


def test_quantiles_are_nearest_ranks_over_the_requests_of_all_runs():
    latency = of(content(latency=[n / 100 for n in range(1, 101)], times=[[0.1]] * 100, runs=3))["latency"]
    assert latency["n"] == 300
    assert dict(latency["quantiles"])[0.5] == 0.5
    assert dict(latency["quantiles"])[0.99] == 0.99
    assert (latency["quantiles"][0], latency["quantiles"][-1]) == ([0, 0.01], [1, 1.0])
    shares = [share for share, _ in latency["quantiles"]]
    assert shares == sorted(set(shares))


def test_the_timeline_is_the_same_prompt_for_all_and_the_references_median_one():
    metrics = {"other": content(latency=[1, 2, 3, 4, 5, 6]), "base": content()}
    found = shapes.shapes(metrics, "base")
    # 0.2 0.3 0.35 | 0.4 0.5 0.6: the lower median is 0.35, of the last prompt.
    assert {name: shape["timeline"]["prompt"] for name, shape in found.items()} == {"other": 5, "base": 5}
    assert found["base"]["timeline"] == {"prompt_id": "05", "prompt": 5, "token_times_s": [0.3]}


@pytest.mark.parametrize("base", [None, "base"])
def test_without_a_baseline_the_first_technique_that_ran_gives_the_prompt(base):
    metrics = {
        "base": {"status": "out_of_memory", "figures": {}, "samples": None},
        "a": content(latency=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
        "b": content(),
    }
    found = shapes.shapes(metrics, base)
    assert list(found) == ["a", "b"]
    assert found["b"]["timeline"]["prompt"] == 2


def test_a_technique_that_wrote_nothing_for_the_example_has_no_timeline():
    found = shapes.shapes({"base": content(), "a": content(times=[*TOKENS[:5], []])}, "base")["a"]
    assert found["timeline"] is None
    assert found["reasons"]["timeline"] == "it wrote no token for this prompt"


def test_gaps_are_by_position_as_long_as_five_prompts_have_them():
    gaps = of(content())["gaps"]
    # Second tokens come 0.05, 0.1, 0.1, 0.2 and 0.3 s after the first; only four prompts have a third.
    assert gaps == {"position": [2], "low_s": [0.1], "median_s": [0.1], "high_s": [0.2], "n": [5]}


def test_gaps_of_a_round_of_speculation_are_zero():
    gaps = of(content(latency=[1] * 5, times=[[0.1, 0.1, 0.1, 0.2]] * 5))["gaps"]
    assert gaps["median_s"] == [0.0, 0.0, 0.1]


def test_short_headlines_have_no_gaps_and_a_reason():
    found = of(content(times=[[0.1]] * 6))
    assert found["gaps"] is None
    assert found["reasons"]["gaps"] == "fewer than 5 prompts have two tokens"


def test_acceptance_by_round_and_by_headline():
    # Rates 0, 0.3, 0.9, 1; the last two headlines had no token judged or half of them accepted.
    found = of(speculating([0, 3, 9, 4, 0, 1], [2, 7, 1, 0, 0, 1]))["acceptance"]
    assert found["per_round"] == {"counts": {"0": 1, "1": 2, "2": 3}}
    assert found["per_headline"]["counts"] == [1, 0, 0, 1, 0, 1, 0, 0, 0, 2]
    assert found["per_headline"]["edges"] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert (found["n_rounds"], found["n_headlines"]) == (6, 5)


def test_without_the_histogram_the_rounds_are_still_counted():
    found = of(speculating([1] * 6, [1] * 6, histogram=None))["acceptance"]
    assert found["per_round"] is None
    assert found["n_rounds"] == 12


def test_random_weights_accept_nothing_that_means_anything():
    found = of(speculating([1] * 6, [1] * 6, rate=None, note="not measured: random weights"))
    assert found["acceptance"] is None
    assert found["reasons"]["acceptance"] == "not measured: random weights"


def test_no_technique_ran():
    assert shapes.shapes({"a": {"status": "invalid", "samples": None, "figures": {}}}, "a") == {}


def test_values_that_were_not_kept_have_reasons():
    made = content()
    made["samples"] = {"id": made["samples"]["id"]}
    found = of(made)
    assert {key for key, value in found.items() if value is None} == {"latency", "timeline", "gaps", "acceptance"}
    assert all(found["reasons"].values())


def test_in_a_whole_study(tmp_path):
    techniques = [t for t in everything() if t.name in ("baseline", "kv_cache", "target_only", "speculative", "huge")]
    rows = {row["name"]: row["shapes"] for row in compare(write_study(tmp_path, techniques, 12, 2))["techniques"]}
    assert rows["huge"] is None
    assert len({rows[name]["timeline"]["prompt_id"] for name in rows if rows[name]}) == 1
    assert rows["baseline"]["latency"]["n"] == 24
    assert rows["baseline"]["reasons"] == {"acceptance": "no speculation"}
    accepted = rows["speculative"]["acceptance"]
    assert sum(accepted["per_round"]["counts"].values()) == accepted["n_rounds"]
    assert sum(accepted["per_headline"]["counts"]) == accepted["n_headlines"] == 12
    # A round puts several tokens out at once.
    times = rows["speculative"]["timeline"]["token_times_s"]
    assert len(set(times)) < len(times) == len(rows["target_only"]["timeline"]["token_times_s"])
