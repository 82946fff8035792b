"""Overall scores against arithmetic, and chances of being best against what was planted."""

import base64
import copy
import json
import struct

import numpy as np
import pytest
from scipy import stats

from scripts.comparison import document, gains, scores
from scripts.metrics import figures, resampling
from scripts.metrics.families import load
from tests.support.synthetic_timings import Chance, Technique, make_study

STILL = Chance(process_sd=0, drift=0, noise_sd=0, outlier_share=0, prompt_log_sd=0, prompts=12, fixed=12)
RUNS = Chance(process_sd=0.02, prompts=40, fixed=12)
ONE_RUN = Chance(runs=1, prompts=40, fixed=12)
SPEED = {"ranking": {"weights": {"latency": 1, "throughput": 0, "memory": 0, "quality": 0}}}


def made(techniques, chance=RUNS, memory=None, quality=None, seed=0):
    """A study, its rows and metrics; ``memory`` in bytes, ``quality`` as a factor on every prompt's ROUGE-L."""
    study, rows, metrics = make_study(techniques, chance, seed)
    for name, content in metrics.items():
        factor = (quality or {}).get(name, 1.0)
        if factor is not None:
            score(content, [factor * value for value in content["samples"]["rougeL"]])
        if memory:
            content["figures"]["peak_memory_bytes"] = figures.repeated_figure([memory[name]] * chance.runs, "B")
    return study, rows, metrics


def score(content, values):
    content["samples"]["rougeL"] = values
    content["figures"]["rougeL"] = figures.figure(float(np.mean(values)), "1", len(values))


def unscored(content, reason):
    """As a model with random weights is."""
    content["samples"] |= {"rougeL": None}
    content["figures"]["rougeL"] = figures.missing("1", reason)
    content |= {"quality_measured": False, "unscored_reason": reason}


def ranking(study, rows, metrics, **changes):
    found = document.comparison(study | changes, rows, {}, metrics)["ranking"]
    json.dumps(found, allow_nan=False)
    return found


def by_name(found):
    return {row["technique"]: row for row in found["overall"]}


def drawn(found, name, criterion):
    return scores.unpack(found["spread"][name][criterion])


def test_the_score_is_the_weighted_geometric_mean_of_the_gains():
    parts = made(
        [Technique("base"), Technique("fast", "base", time=0.5)],
        STILL,
        {"base": 8e8, "fast": 2e8},
        {"fast": 0.9},
    )
    found = ranking(*parts, ranking={"weights": {"latency": 1, "throughput": 1, "memory": 2, "quality": 4}})
    # Twice as fast by both, a quarter of the memory, 90% of the quality.
    assert by_name(found)["fast"]["score"] == pytest.approx((2 * 2 * 4**2 * 0.9**4) ** (1 / 8))
    gains_of = {"latency": np.log(2), "memory": np.log(4), "quality": np.log(0.9)}
    assert found["log_gains"]["fast"] == pytest.approx(gains_of)
    assert by_name(found)["base"]["score"] == 1
    assert [(row["technique"], row["rank"]) for row in found["overall"]] == [("fast", 1), ("base", 2)]


def test_of_requests_one_by_one_speed_is_one_criterion():
    """Samples a second are then 1 / latency: both weights are of one figure, and no second one moves the score."""
    parts = made([Technique("base"), Technique("fast", "base", time=0.5)], STILL)
    found = ranking(*parts)
    assert found["criteria"] == ["latency", "memory", "quality"]
    assert found["weights"] == {"latency": 1, "throughput": 0, "capacity": 0, "memory": 1, "quality": 3}
    assert "1 / latency" in found["left_out"]["throughput"]
    batched = made([Technique("base"), Technique("fast", "base", 0.5, changes={"batch_size": 4})], STILL)
    both = ranking(*batched)
    assert both["criteria"] == ["latency", "throughput", "memory", "quality"]
    assert both["weights"]["latency"] + both["weights"]["throughput"] == 1


def test_a_planted_winner_is_found():
    names = [Technique("base"), *(Technique(f"t{number}", "base") for number in range(6))]
    found = ranking(*made([*names, Technique("best", "base", time=0.8)]))
    first = found["overall"][0]
    assert (first["technique"], first["rank"]) == ("best", 1)
    assert first["chance_best"] > 0.99
    assert sum(row["chance_best"] for row in found["overall"]) == pytest.approx(1)


def copies(chance):
    """Two names for the very same measurements, beside a slower baseline."""
    study, rows, metrics = made([Technique("base", time=2), Technique("one", "base"), Technique("two", "base")], chance)
    metrics["two"] = copy.deepcopy(metrics["one"]) | {"technique": "two"}
    return study, rows, metrics


def test_copies_of_one_technique_share_the_chance_by_the_draws_of_their_processes():
    found = by_name(ranking(*copies(RUNS)))
    assert found["one"]["chance_best"] == pytest.approx(0.5, abs=0.1)
    assert found["one"]["chance_best"] != 0.5  # their processes are drawn apart
    assert found["one"]["chance_best"] + found["two"]["chance_best"] == pytest.approx(1)


def test_copies_that_nothing_tells_apart_share_every_draw():
    found = by_name(ranking(*copies(ONE_RUN)))
    assert found["one"]["chance_best"] == found["two"]["chance_best"] == 0.5
    assert found["base"]["chance_best"] == 0


def test_equal_techniques_are_seldom_sure_to_differ():
    """Over many studies the chance of the better one of two equal techniques is spread over its range."""
    chances = []
    for seed in range(60):
        study, rows, metrics = made(
            [Technique("base", time=2), Technique("a", "base"), Technique("b", "base")], seed=seed
        )
        chances.append(by_name(ranking(study, rows, metrics, **SPEED))["a"]["chance_best"])
    assert np.mean(chances) == pytest.approx(0.5, abs=0.12)
    assert np.mean(np.abs(np.array(chances) - 0.5) > 0.475) <= 0.1  # at most 5% each way would be right


@pytest.mark.parametrize("chance", [ONE_RUN, Chance(runs=1, prompts=40, prompt_log_sd=1.0)])
def test_over_prompts_alone_the_score_has_the_interval_of_the_change(chance):
    study, rows, metrics = made([Technique("base"), Technique("fast", "base", time=0.6)], chance)
    whole = document.comparison(study | SPEED, rows, {}, metrics)
    row = by_name(whole["ranking"])["fast"]
    change = whole["techniques"][1]["changes"]["baseline"]["figures"]["latency_change_percent"]
    width = np.log(change["ratio_high"] / change["ratio_low"])
    assert row["score"] == pytest.approx(1 / change["ratio"])
    assert np.log(row["low"]) == pytest.approx(-np.log(change["ratio_high"]), abs=0.08 * width)
    assert np.log(row["high"]) == pytest.approx(-np.log(change["ratio_low"]), abs=0.08 * width)
    assert whole["ranking"]["covers"] == "prompts alone: every technique ran once"


def test_processes_widen_the_interval_by_t_times_the_standard_error():
    """With prompts that don't scatter and a baseline whose runs are equal, the three runs of the other are all."""
    study, rows, metrics = made([Technique("base"), Technique("a", "base")], STILL)
    levels = np.array([0.095, 0.1, 0.11])
    metrics["a"]["figures"]["latency_s"]["runs"] = levels.tolist()
    found = ranking(study, rows, metrics, **SPEED)
    assert found["covers"] == "prompts and runs"
    error = np.log(levels).std(ddof=1) / np.sqrt(3)
    low, high = np.log([by_name(found)["a"]["low"], by_name(found)["a"]["high"]])
    assert high - low == pytest.approx(2 * stats.t.ppf(0.975, 2) * error, rel=0.02)


def test_latency_and_throughput_share_the_draw_of_a_techniques_processes():
    still = Chance(prompts=40, noise_sd=0, outlier_share=0, process_sd=0.05, prompt_log_sd=0)
    batched = Technique("b", "base", changes={"batch_size": 4})
    found = ranking(*made([Technique("base"), Technique("a", "base"), batched], still))
    latency, throughput = (drawn(found, "a", criterion) for criterion in ("latency", "throughput"))
    assert np.corrcoef(latency, throughput)[0, 1] > 0.999
    # Those of two techniques have the reference's processes in common and nothing else.
    names = [Technique("base"), *(Technique(f"t{number}", "base") for number in range(12))]
    many = ranking(*made(names, still))
    draws = [drawn(many, f"t{number}", "latency") for number in range(12)]
    correlations = np.corrcoef(draws)[np.triu_indices(12, 1)]
    assert 0.3 < correlations.mean() < 0.7
    assert correlations.max() < 0.9


def test_neither_scores_nor_chances_depend_on_the_reference():
    entries = [Technique("base"), Technique("a", "base", time=0.98), Technique("b", "base", time=0.99)]
    study, rows, metrics = made(entries, RUNS, {"base": 1e8, "a": 1.01e8, "b": 0.99e8})
    one, other = (ranking(study, rows, metrics, baseline=name) for name in ("base", "b"))
    assert (one["reference"], other["reference"]) == ("base", "b")
    first, second = by_name(one), by_name(other)
    assert first["a"]["score"] / first["b"]["score"] == pytest.approx(second["a"]["score"])
    for name in first:
        assert first[name]["chance_best"] == pytest.approx(second[name]["chance_best"], abs=0.003)
    assert 0.01 < first["a"]["chance_best"] < 0.99


def test_draws_do_not_depend_on_what_else_there_is():
    entries = [Technique("base"), Technique("a", "base")]
    study, rows, metrics = made([*entries, Technique("b", "base")])
    without = {name: content for name, content in metrics.items() if name != "b"}
    less = study | {"techniques": study["techniques"][:2]}
    assert ranking(less, rows, without)["spread"]["a"] == ranking(study, rows, metrics)["spread"]["a"]
    assert ranking(study, rows, metrics) == ranking(study, rows, metrics)


def test_random_weights_leave_quality_out():
    study, rows, metrics = made([Technique("base"), Technique("fast", "base", time=0.5)], STILL)
    for content in metrics.values():
        unscored(content, "not measured: random weights")
    found = ranking(
        study, rows, metrics, ranking={"weights": {"latency": 1, "throughput": 1, "memory": 2, "quality": 9}}
    )
    assert found["criteria"] == ["latency", "memory"]
    assert found["left_out"]["quality"] == "not measured: random weights"
    assert found["overall"][0]["score"] == pytest.approx(2 ** (2 / 4))
    assert found["limit_values"]["base"]["quality_kept_percent"] is None
    alone = {"weights": {"latency": 0, "throughput": 0, "memory": 0, "quality": 1}}
    assert ranking(study, rows, metrics, ranking=alone)["overall"] == []


def test_a_technique_without_a_value_that_counts_is_not_ranked():
    study, rows, metrics = made([Technique("base"), Technique("short", "base"), Technique("other", "base")])
    unscored(metrics["short"], "its prompts are others")
    found = ranking(study, rows, metrics)
    assert set(found["left_out"]) == {"throughput", "capacity"}
    assert set(by_name(found)) == {"base", "other"}
    assert set(found["log_gains"]["short"]) == {"latency", "memory"}
    assert set(by_name(ranking(study, rows, metrics, **SPEED))) == {"base", "short", "other"}


def failed(content, **settings):
    gone = dict.fromkeys(("samples", "processes", "batch_size"))
    empty = {key: figures.missing("1", "out of memory") for key in content["figures"]}
    return content | gone | {"status": "out_of_memory", "figures": empty, "settings": settings}


def test_techniques_that_failed_are_not_ranked_but_have_a_number_of_devices():
    study, rows, metrics = made([Technique("base"), Technique("a", "base"), Technique("wide", "base")])
    metrics["wide"] = failed(metrics["wide"], parallel={"tensor": 4, "pipeline": 1}, batch_size=2)
    study["techniques"][2]["settings"] = metrics["wide"]["settings"]
    found = ranking(study, rows, metrics)
    assert set(found["log_gains"]) == set(by_name(found)) == {"base", "a"}
    values = found["limit_values"]["wide"]
    assert (values.pop("devices"), values.pop("batch_size")) == (4, 2)
    assert set(values.values()) == {None}


def test_without_the_baseline_the_first_that_ran_is_the_reference():
    study, rows, metrics = made([Technique("base"), Technique("a", "base"), Technique("b", "base")])
    metrics["base"] = failed(metrics["base"])
    found = ranking(study, rows, metrics)
    assert found["reference"] == "a"
    assert by_name(found)["a"]["score"] == 1
    metrics = {name: failed(content) for name, content in metrics.items()}
    assert ranking(study, rows, metrics) is None


def test_too_few_prompts_give_scores_and_no_chances():
    few = Chance(prompts=resampling.MIN_PROMPTS - 1, fixed=4)
    found = ranking(*made([Technique("base"), Technique("a", "base", time=0.5)], few))
    assert (found["draws"], found["spread"]) == (0, {})
    assert found["covers"] == "neither prompts nor runs: 9 prompts are too few to resample (10 are needed)"
    first = found["overall"][0]
    assert first["score"] > 1
    assert (first["low"], first["high"], first["chance_best"]) == (None, None, None)
    enough = Chance(prompts=resampling.MIN_PROMPTS, fixed=4)
    assert ranking(*made([Technique("base"), Technique("a", "base")], enough))["draws"] == gains.DRAWS


def batched(prompts, chance):
    """A baseline, and a technique whose batches of 8 share one time, which scatters from batch to batch."""
    study, rows, metrics = made([Technique("base"), Technique("batch", "base", changes={"batch_size": 8})], chance)
    times = np.repeat(np.random.default_rng(0).lognormal(-1.6, 0.3, prompts // 8), 8)
    samples = metrics["batch"]["samples"]
    samples |= {"latency_s": times.tolist(), "busy_s": (times / 8).tolist()}
    levels = (0.99, 1.0, 1.01)[: chance.runs]
    runs = [float(times.mean() * level) for level in levels]
    metrics["batch"]["figures"]["latency_s"] |= {"value": float(times.mean()), "runs": runs, "run_scatter": 0.0}
    return document.comparison(study | SPEED, rows, {}, metrics)


def test_batches_are_kept_together():
    found = batched(200, Chance(runs=1, prompts=200, fixed=8, prompt_log_sd=0.01))
    change = found["techniques"][1]["changes"]["baseline"]["figures"]["latency_change_percent"]
    row = by_name(found["ranking"])["batch"]
    # Prompt by prompt it would be a third of that.
    assert np.log(row["high"] / row["low"]) == pytest.approx(
        np.log(change["ratio_high"] / change["ratio_low"]), rel=0.1
    )
    assert np.log(row["high"] / row["low"]) > 0.15


def test_too_few_batches_leave_the_processes():
    found = batched(40, Chance(prompts=40, fixed=8))["ranking"]
    assert found["covers"] == ("prompts and runs; not the prompts in the speed of batch: too few batches to resample")
    assert np.median(drawn(found, "batch", "latency")) == pytest.approx(
        found["log_gains"]["batch"]["latency"], abs=0.01
    )
    assert by_name(found)["batch"]["low"] < by_name(found)["batch"]["score"] < by_name(found)["batch"]["high"]


def test_no_chance_is_in_memory_or_in_the_reference_or_in_the_same_headlines():
    found = ranking(*made([Technique("base"), Technique("a", "base")], ONE_RUN))
    assert list(found["spread"]) == ["a"]
    assert set(found["spread"]["a"]) == {"latency"}


def test_quality_is_resampled_by_prompt():
    study, rows, metrics = made([Technique("base"), Technique("other", "base")], ONE_RUN)
    score(metrics["other"], metrics["base"]["samples"]["rougeL"][::-1])
    found = ranking(study, rows, metrics)
    assert found["log_gains"]["other"]["quality"] == pytest.approx(0)
    assert drawn(found, "other", "quality").std() > 0.01
    values = found["limit_values"]
    assert values["other"]["quality_kept_percent"] == pytest.approx(100)
    assert values["other"]["quality_kept_low_percent"] < 99
    assert (values["base"]["quality_kept_percent"], values["base"]["quality_kept_low_percent"]) == (100, 100)


def test_a_quality_of_zero_is_the_worst_of_all_and_still_a_number():
    study, rows, metrics = made([Technique("base"), Technique("broken", "base", time=0.1)])
    score(metrics["broken"], [0.0] * 40)
    found = ranking(study, rows, metrics)
    last = found["overall"][-1]
    assert (last["technique"], last["chance_best"]) == ("broken", 0)
    assert 0 <= last["score"] < 1e-100


def test_a_quality_that_some_resamples_lose_stays_finite():
    study, rows, metrics = made([Technique("base"), Technique("rare", "base")])
    score(metrics["rare"], [1.0] + [0.0] * 39)
    found = ranking(study, rows, metrics)
    draws = drawn(found, "rare", "quality")
    assert np.isfinite(draws).all()
    assert draws.min() > found["log_gains"]["rare"]["quality"] - 10


def test_draws_are_packed_as_little_endian_steps():
    values = np.array([-0.5, 0.0, 0.25, 1.5])
    packed = scores.pack(values)
    steps = struct.unpack("<4H", base64.b64decode(packed["values"]))
    assert steps[0] == 0
    assert steps[3] == 65_535
    assert [packed["low"] + packed["step"] * step for step in steps] == pytest.approx(values, abs=packed["step"])
    assert scores.unpack(packed) == pytest.approx(values, abs=packed["step"] / 2 + 1e-12)
    assert scores.unpack(scores.pack(np.full(3, 0.7))) == pytest.approx(np.full(3, 0.7))


def served(content, runs, breaks=1.02):
    """Requests a second that each load run found, and how far above them limits broke (None: at no rate)."""
    ends = [[rate, breaks and breaks * rate] for rate in runs]
    content["figures"]["capacity_per_s"] = load.over_runs(runs) | {"bracket": ends}
    content["load"] = {"status": "ok", "settings": {}}


TRAFFIC = {"ranking": {"weights": {"latency": 0, "throughput": 0, "capacity": 1, "memory": 0, "quality": 0}}}


def test_requests_under_load_count_as_they_are_weighed_and_who_has_none_is_not_ranked():
    study, rows, metrics = made([Technique("base"), Technique("one", "base"), Technique("two", "base")])
    served(metrics["one"], [20.0, 20.0, 20.0])
    served(metrics["two"], [60.0, 60.0, 60.0])
    before = ranking(study, rows, metrics)
    # The baseline serves nobody: it stays what all else is compared with, and every score stays as it was.
    assert before["reference"] == "base"
    assert before["bases"] == {"latency": "base", "capacity": "one", "memory": "base", "quality": "base"}
    assert "capacity" not in before["log_gains"]["base"]
    without = ranking(*made([Technique("base"), Technique("one", "base"), Technique("two", "base")]))
    assert before["overall"] == without["overall"]
    found = ranking(study, rows, metrics, **TRAFFIC)
    assert [row["technique"] for row in found["overall"]] == ["two", "one"]
    assert by_name(found)["two"]["score"] == pytest.approx(3)
    assert by_name(found)["two"]["chance_best"] > 0.99
    both = ranking(study, rows, metrics, ranking={"weights": SPEED["ranking"]["weights"] | {"capacity": 1}})
    latency = both["log_gains"]["two"]["latency"]
    assert by_name(both)["two"]["score"] == pytest.approx(np.exp((latency + np.log(3)) / 2))


def test_the_draws_of_requests_under_load_are_as_wide_as_their_interval():
    study, rows, metrics = made([Technique("base"), Technique("one", "base"), Technique("wide", "base")])
    served(metrics["base"], [30.0, 30.0, 30.0], breaks=None)
    served(metrics["wide"], [24.0, 30.0, 36.0], breaks=1.05)
    found = ranking(study, rows, metrics, **TRAFFIC)
    figure = metrics["wide"]["figures"]["capacity_per_s"]
    low, high = np.quantile(30 * np.exp(drawn(found, "wide", "capacity")), [0.025, 0.975])
    assert low == pytest.approx(figure["low"], rel=0.1)
    assert high == pytest.approx(1.05 * figure["high"], rel=0.1)
    assert "base" not in found["spread"] or "capacity" not in found["spread"]["base"]
    # The more the searches left open, the less sure is the better of two.
    near = {"base": [30.0, 30.0, 30.0], "one": [30.0, 30.0, 30.0], "wide": [30.6, 30.6, 30.6]}
    chances = []
    for width in (1.001, 1.05):
        for name, rates in near.items():
            served(metrics[name], rates, breaks=width)
        chances.append(by_name(ranking(study, rows, metrics, **TRAFFIC))["wide"]["chance_best"])
    assert chances[0] > 0.99 > chances[1]


def test_why_requests_under_load_do_not_count_is_said():
    study, rows, metrics = made([Technique("base"), Technique("one", "base")])
    assert ranking(study, rows, metrics)["left_out"]["capacity"] == "no technique was put under load"
    metrics["one"]["load"] = {"status": "failed", "reason": "the server ended early.", "settings": {}}
    metrics["one"]["figures"]["capacity_per_s"] = figures.missing("requests/s", "run 1 under load: it ended early")
    assert ranking(study, rows, metrics)["left_out"]["capacity"].startswith("no technique that was put under load has")
