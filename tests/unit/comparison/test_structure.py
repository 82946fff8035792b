"""What a comparison says of the study as a whole: squares, sweeps, speculation, money, batches."""

import csv
import io

import pytest

from scripts.comparison import costs, document, interactions, speculation, table, verdicts
from scripts.metrics import figures
from tests.support.synthetic_timings import Chance, Technique, make_study

QUIET = Chance(runs=4, prompts=24, fixed=12, process_sd=0.002, drift=0.0, noise_sd=0.01, outlier_share=0.0)


def compared(techniques, **study_keys):
    study, rows, metrics = make_study(techniques, QUIET)
    return document.comparison(study | study_keys, rows, {}, metrics)


def square(combined):
    small = {"model": "small"}
    cache, packed = {"kv_cache": "dynamic"}, {"quantization": {"method": "nf4"}}
    return [
        Technique("base", time=1.0, settings=small),
        Technique("cache", "base", 0.5, settings=small | cache),
        Technique("packed", "base", 0.8, settings=small | packed | {"kv_cache": None}),
        Technique("both", "cache", combined, settings=small | cache | packed),
        Technique("pruned", "cache", 0.5, settings=small | cache | {"pruning": {"amount": 0.3}}),
    ]


@pytest.mark.parametrize(
    ("combined", "verdict"), [(0.3, interactions.MORE), (0.4, interactions.AS), (0.5, interactions.LESS)]
)
def test_a_combination_is_compared_with_the_product_of_its_parts(combined, verdict):
    (found,) = compared(square(combined))["interactions"]
    assert [found[key] for key in ("technique", "with", "alone", "base")] == ["both", "cache", "packed", "base"]
    assert found["facet"] == "quantization"
    assert found["ratio"]["value"] == pytest.approx(combined / 0.4, rel=0.02)
    assert found["ratio"]["low"] < combined / 0.4 < found["ratio"]["high"]
    assert found["verdict"] == verdict


def test_a_square_found_from_both_sides_is_one():
    study, _, _ = make_study(square(0.4), QUIET)
    turned = study["techniques"] + [study["techniques"][3] | {"name": "again", "parent": "packed"}]
    squares = list(interactions.squares(study | {"techniques": turned}))
    assert {names for names, _ in squares} == {
        ("both", "cache", "packed", "base"),
        ("again", "packed", "cache", "base"),
    }


def test_swapping_a_facet_is_no_combination():
    """Eight bits and then four in their place are not both."""
    eight, four = ({"model": "small", "quantization": name} for name in ("int8", "nf4"))
    techniques = [
        Technique("base", settings={"model": "small"}),
        Technique("int8", "base", settings=eight),
        Technique("nf4", "base", settings=four),
        Technique("swapped", "int8", settings=four),
    ]
    assert compared(techniques)["interactions"] == []


def test_a_square_with_a_corner_that_did_not_run_is_left_out():
    techniques = square(0.4)
    techniques[2].changes = {"status": "unsupported", "samples": None}
    assert compared(techniques)["interactions"] == []


def test_a_sweep_keeps_its_order_and_points_that_did_not_run():
    techniques = [Technique("base"), Technique("p3", "base"), Technique("p1", "base")]
    techniques[1].changes = {"status": "out_of_memory", "reason": "full", "samples": None}
    points = [{"value": 0.1, "technique": "p1"}, {"value": 0.3, "technique": "p3"}, {"value": 0.5, "technique": "p5"}]
    sweep = {"name": "pruning", "technique": "base", "facet": "pruning.amount", "points": points}
    (found,) = compared(techniques, sweeps=[sweep])["sweeps"]
    assert [point["value"] for point in found["points"]] == [0.1, 0.3, 0.5]
    assert [point["status"] for point in found["points"]] == ["ok", "out_of_memory", "unselected"]
    assert found["points"][1]["reason"] == "full"
    assert found["facet"] == "pruning.amount"


def test_break_even_is_where_the_expected_speedup_is_one():
    acceptance = speculation.break_even(4, 0.2)
    assert speculation.speedup(acceptance, 4, 0.2) == pytest.approx(1)
    closed = (1 - acceptance**5) / ((1 - acceptance) * (1 + 4 * 0.2))
    assert closed == pytest.approx(1)
    assert speculation.speedup(1.0, 4, 0.0) == 5
    assert speculation.break_even(4, 1.0) == pytest.approx(1)
    assert speculation.break_even(4, 1.1) is None


@pytest.mark.parametrize("draft", [0.002, 0.02])
def test_speculation_is_shown_beside_what_its_model_says(draft):
    rate = figures.figure(0.7, "1", 24, (0.65, 0.75), "bootstrap")
    techniques = [Technique("base"), Technique("spec", "base", 0.6)]
    study, rows, metrics = make_study(techniques, QUIET)
    metrics["spec"] |= {
        "settings": {"speculation": {"draft": "small", "tokens": 4}},
        "time": {"target_forward_s": 0.01, "draft_forward_s": draft, "verify_forward_s": 0.012},
    }
    metrics["spec"]["figures"]["acceptance_rate"] = rate
    study["sweeps"] = [{"name": "s", "points": [{"value": 4, "technique": "spec"}]}]
    comparison = document.comparison(study, rows, {}, metrics)
    (found,) = comparison["break_even"]
    assert comparison["sweeps"][0]["break_even"] == [found]
    assert found["cost_ratio"]["value"] == pytest.approx(draft / 0.01)
    assert found["measured_speedup"]["value"] == pytest.approx(1 / 0.6, rel=0.02)
    predicted = found["predicted_speedup"]
    assert predicted["low"] < predicted["value"] < predicted["high"]
    with_verification = found["predicted_with_verification"]["value"]
    assert found["verification_ratio"]["value"] == pytest.approx(1.2)
    assert with_verification * (1.2 + 4 * draft / 0.01) == pytest.approx(predicted["value"] * (1 + 4 * draft / 0.01))
    if draft < 0.01:
        assert 0 < found["break_even_acceptance"]["value"] < 0.7
    else:
        assert found["break_even_acceptance"]["value"] is None
        assert "not reachable" in found["break_even_acceptance"]["note"]


def test_cost_counts_every_device():
    techniques = [Technique("base"), Technique("two", "base", changes={"processes": 2})]
    price = {"price_per_device_hour": 3.6, "currency": "EUR"}
    priced = compared(techniques, comparison=price, on_gpus=True)
    assert priced["price"] == {"per_device_hour": 3.6, "currency": "EUR"}
    one, two = priced["techniques"]
    throughput = one["figures"]["throughput_samples_per_s"]["value"]
    assert one["cost_per_million"]["value"] == pytest.approx(1e6 * 3.6 / 3600 / throughput)
    assert one["cost_per_million"]["unit"] == "EUR"
    assert two["cost_per_million"]["value"] / one["cost_per_million"]["value"] == pytest.approx(2, rel=0.02)
    shared = compared(techniques, comparison=price, on_gpus=False)["techniques"]
    assert shared[1]["cost_per_million"]["value"] == pytest.approx(one["cost_per_million"]["value"], rel=0.02)
    free = compared(techniques)
    assert free["price"] == {"per_device_hour": None, "currency": "USD"}
    cost, hours = (free["techniques"][0][key] for key in ("cost_per_million", "device_hours_per_million"))
    assert (cost["value"], cost["note"]) == (None, "no price of a device hour is set")
    assert hours["value"] == pytest.approx(1e6 / 3600 / throughput, rel=0.02)


def test_the_cost_of_the_highest_throughput_is_the_lowest():
    throughput = figures.figure(10.0, "samples/s", 48, (8.0, 12.5), "bootstrap")
    content = {"figures": {"throughput_samples_per_s": throughput}, "processes": 1}
    hours = costs.device_hours(content, on_gpus=True)
    cost = costs.cost_per_million(hours, {"per_device_hour": 3.6, "currency": "USD"})
    assert [cost[key] for key in ("low", "value", "high")] == pytest.approx([80, 100, 125])


def test_two_changes_at_once_are_flagged():
    techniques = [
        Technique("base", settings={"model": "small"}),
        Technique("one", "base", settings={"model": "large"}),
        Technique("two", "base", settings={"model": "large", "quantization": "nf4"}),
    ]
    study, rows, metrics = make_study(techniques, QUIET)
    for entry in study["techniques"]:
        entry["difference"] = {"one": {"model": "large"}, "two": {"model": "large", "quantization": "nf4"}}.get(
            entry["name"], {}
        )
    flags = [technique["flags"] for technique in document.comparison(study, rows, {}, metrics)["techniques"]]
    assert flags[:2] == [[], []]
    assert [flag["kind"] for flag in flags[2]] == ["several_changes"]
    assert "model and quantization at once" in flags[2][0]["message"]


def test_parent_and_baseline_are_corrected_apart():
    """Two techniques are compared with the baseline and one of them with a parent."""
    techniques = [Technique("base"), Technique("fast", "base", 0.5), Technique("other", None, 0.9)]
    changed = compared(techniques)["techniques"][1]["changes"]
    once, twice = (changed[kind]["figures"]["latency_change_percent"] for kind in ("parent", "baseline"))
    assert once["p_value"] == twice["p_value"]
    assert once["adjusted_p_value"] < twice["adjusted_p_value"]


def test_of_requests_one_by_one_latency_and_throughput_share_a_verdict():
    """Samples a second are then 1 / latency, so that one can't be slower and the other no different."""
    for time, latency, throughput in [(0.5, "faster", "higher"), (2.0, "slower", "lower"), (1.0, *[verdicts.SAME] * 2)]:
        figures = compared([Technique("base"), Technique("other", "base", time)])["techniques"][1]["changes"]["parent"]
        for mode in ("", "fixed_"):
            one, other = (figures["figures"][f"{mode}{key}_change_percent"] for key in ("latency", "throughput"))
            assert (one["verdict"], other["verdict"]) == (latency, throughput)
            assert one["adjusted_p_value"] == other["adjusted_p_value"]
            assert one["ratio"] == pytest.approx(1 / other["ratio"], rel=0.01)


def test_parts_of_the_speed_differ_only_where_the_speed_does():
    """Equal techniques are then called different no more often than by one question."""
    changed = {key: {"p_value": None, "low": None} for key in verdicts.tested_changes()}
    known = {"latency_change_percent": 0.2, "ttft_change_percent": 1e-4}
    changed |= {key: {"value": -3.0, "ratio": 0.97, "p_value": p_value} for key, p_value in known.items()}
    verdicts.add_verdicts({"a": changed})
    assert changed["ttft_change_percent"]["verdict"] == verdicts.SAME
    changed["latency_change_percent"]["p_value"] = 0.01
    verdicts.add_verdicts({"a": changed})
    assert changed["ttft_change_percent"]["verdict"] == "faster"


def test_speedups_are_measured_and_predicted_against_the_parent():
    study, rows, metrics = make_study([Technique("base"), Technique("fast", "base", 0.5)], QUIET)
    for name, time in {"base": 0.1, "fast": 0.04}.items():
        metrics[name]["figures"]["predicted_time_per_sample_s"] = figures.figure(time, "s", 1)
    base, fast = document.comparison(study, rows, {}, metrics)["techniques"]
    assert fast["predicted_speedup"]["value"] == pytest.approx(2.5)
    assert fast["measured_speedup"]["low"] < 2 < fast["measured_speedup"]["high"]
    assert fast["measured_speedup"]["verdict"] == "higher"
    assert base["measured_speedup"]["note"] == base["predicted_speedup"]["note"] == "it has no parent"


def test_batches_of_a_kind_are_as_few_as_they_are():
    """Requests that share their batch's time are no more evidence than their batches, wherever in the set they lie."""
    study, rows, metrics = make_study([Technique("base"), Technique("batched", "base")], QUIET)
    metrics["batched"] |= {"batch_size": 2}
    samples = metrics["batched"]["samples"]
    pairs = [index % 12 for index in range(24)]
    slow = {0, 5, 7}
    samples["latency_s"] = [0.4 if pair in slow else 0.2 for pair in pairs]

    def width(batch):
        samples["batch"] = batch
        figures = document.comparison(study, rows, {}, metrics)["techniques"][1]["changes"]["parent"]["figures"]
        return figures["latency_change_percent"]["high"] - figures["latency_change_percent"]["low"]

    assert width(pairs) > 1.25 * width(list(range(24)))


@pytest.mark.parametrize(("time", "verdict"), [(1.0, verdicts.SAME), (0.5, "faster")])
def test_few_batches_are_tested_over_runs_alone(time, verdict):
    """Twenty-four prompts in batches of 8 are three things to resample, too few."""
    comparison = compared([Technique("base"), Technique("batched", "base", time, changes={"batch_size": 8})])
    change = comparison["techniques"][1]["changes"]["parent"]["figures"]["latency_change_percent"]
    assert change["verdict"] == verdict
    assert "3 batches" in change["note"]
    assert change["interval"] == "differences inside rounds"
    assert change["low"] < 100 * (time - 1) < change["high"]


def test_without_the_fixed_mode_its_changes_say_so():
    study, rows, metrics = make_study([Technique("base"), Technique("fast", "base", 0.5)], QUIET)
    del metrics["base"]["samples"]["fixed"]
    changed = document.comparison(study, rows, {}, metrics)["techniques"][1]["changes"]["parent"]["figures"]
    assert changed["fixed_latency_change_percent"]["value"] is None
    assert changed["latency_change_percent"]["verdict"] == "faster"


def test_techniques_as_fast_as_the_fastest_are_named():
    techniques = [
        Technique("base"),
        Technique("a", "base", 0.5),
        Technique("b", "base", 0.5),
        Technique("c", "base", 0.6),
    ]
    answer = compared(techniques)["answer"]
    assert {answer["fastest"], *answer["fastest_ties"]} == {"a", "b"}


def test_with_one_run_no_ties_are_known():
    study, rows, metrics = make_study([Technique("base"), Technique("a", "base", 0.5)], Chance(runs=1))
    assert document.comparison(study, rows, {}, metrics)["answer"]["fastest_ties"] is None


def test_the_table_has_the_verdicts():
    comparison = compared([Technique("base"), Technique("fast", "base", 0.5, changes={"flags": [{"kind": "drift"}]})])
    base, fast = csv.DictReader(io.StringIO(table.table(comparison)))
    assert fast["latency_verdict_vs_parent"] == fast["fixed_latency_verdict_vs_baseline"] == "faster"
    assert fast["quality_kept_vs_baseline"] == "kept"
    assert (fast["flags"], base["flags"], base["latency_verdict_vs_parent"]) == ("1", "0", "")
    assert float(fast["fixed_latency_mean_s"]) < float(base["fixed_latency_mean_s"])
