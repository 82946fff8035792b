"""Predictions against measurements: what holds, what failed, and which facts are named."""

import pytest

from scripts.comparison import predictions
from scripts.metrics import figures
from scripts.report.sections import why

KIND = "roofline_time"


def known(value, low=None, high=None, note=None):
    return figures.figure(value, "1", 3, (low, high), note=note)


def technique(name="other", parent="base", predicted_s=0.1, measured_s=0.1, **more):
    measured = 1 / measured_s
    values = {"host_bound_share": 0.1, "mbu_measured": 0.6, "ttft_s": 0.02, "latency_s": 1.0} | more.pop("values", {})
    row = {
        "name": name, "parent": parent, "status": "ok", "difference": {"speculation": {}}, "processes": 1, "time": None,
        "evidence": {}, "measured_speedup": known(1.0), "predicted_speedup": known(1.0),
        "figures": {key: known(value) for key, value in values.items()} | {
            "throughput_samples_per_s": known(measured, 0.99 * measured, 1.01 * measured),
            "predicted_time_per_sample_s": known(predicted_s),
        },
    }  # fmt: skip
    return row | more


def found(row, model=None, on_gpus=False):
    rows = [technique("base", None), row]
    predictions.add(rows, [model] if model else [], on_gpus)
    return {entry["kind"]: entry for entry in row["predictions"]}


def told(row):
    return " ".join(why.failures(row))


def drafting(predicted, verified=None, ratio=None, tokens=4):
    return {
        "technique": "other", "draft_tokens": tokens, "predicted_speedup": predicted,
        "predicted_with_verification": verified or figures.missing("1", "none"),
        "verification_ratio": known(ratio) if ratio else figures.missing("1", "none"),
    }  # fmt: skip


@pytest.mark.parametrize(("measured", "holds"), [(0.1, True), (0.124, True), (0.2, False), (0.05, False)])
def test_a_time_within_the_tolerance_holds(measured, holds):
    row = technique(measured_s=measured)
    assert found(row)[KIND]["holds"] is holds
    assert ("failed here" in told(row)) is not holds


def test_reasons_are_named_only_where_they_were_measured():
    row = technique(measured_s=0.5)
    assert found(row)[KIND]["facts"] == []
    assert "nothing that was measured names the reason" in told(row)
    row = technique(measured_s=0.5, values={"host_bound_share": 0.45}, processes=2)
    assert [fact["fact"] for fact in found(row)[KIND]["facts"]] == ["host", "shared"]
    assert "likely reason: 45.0% of its time passes outside of operators and kernels and its 2 processes" in told(row)
    assert [fact["fact"] for fact in found(row, on_gpus=True)[KIND]["facts"]] == ["host"]
    row = technique(measured_s=0.01)
    row["figures"]["predicted_time_per_sample_s"]["note"] = "weights this small can stay in the processor's cache"
    assert [fact["fact"] for fact in found(row)[KIND]["facts"]] == ["cache"]


def test_the_model_of_speculation_is_held_against_the_measured_interval():
    row = technique(measured_speedup=known(1.34, 1.30, 1.38))
    assert found(row, drafting(known(1.5, 1.45, 1.55)))["speculation"]["holds"]
    row = technique(measured_speedup=known(0.8, 0.78, 0.82))
    assert found(row, drafting(known(1.5, 1.45, 1.55), known(0.85), 2.4))["speculation"]["facts"] == [
        {"fact": "verification", "value": 2.4}
    ]
    sentence = told(row)
    assert sentence.startswith("The model of speculation failed here: 1.50")
    assert "0.80" in sentence
    assert "likely reason: verifying the drafted tokens takes 2.40 target passes, not one." in sentence


def test_a_predicted_gain_that_is_a_loss_is_a_failure_however_small():
    row = technique(measured_speedup=known(0.97, 0.96, 0.98))
    assert not found(row, drafting(known(1.04, 1.02, 1.06)))["speculation"]["holds"]
    assert "measured, on the other side of break-even" in told(row)
    assert found(row, drafting(known(1.04, 0.99, 1.06)))["speculation"]["holds"]


def test_a_prompt_that_drafting_does_not_touch_is_a_reason_only_towards_no_effect():
    model, values = drafting(known(2.0)), {"ttft_s": 0.4}
    row = technique(measured_speedup=known(1.3), values=values)
    assert [fact["fact"] for fact in found(row, model)["speculation"]["facts"]] == ["prompt"]
    row = technique(measured_speedup=known(0.5), values=values)
    assert found(row, model)["speculation"]["facts"] == []


def test_speculation_is_judged_over_its_target_alone():
    model = drafting(known(2.0))
    assert "speculation" not in found(technique(difference={"speculation": {}, "engine": "graph"}), model)
    assert "speculation" not in found(technique(parent="gone"), model)


def test_a_speed_up_that_the_roofline_misses_asks_the_slower_of_the_two():
    low = {"mbu_measured": 0.2, "mfu_measured": 0.1}
    row = technique(predicted_speedup=known(3.0), measured_speedup=known(1.1), values=low)
    assert found(row)["roofline_speedup"]["facts"] == [{"fact": "unbound", "value": 0.2, "other": 0.1}]
    assert "neither bandwidth (20.0%) nor arithmetic (10.0%) is near its peak" in told(row)
    row = technique(predicted_speedup=known(1.0), measured_speedup=known(2.0))
    base = technique("base", None, values=low)
    predictions.add([base, row], [], False)
    assert row["predictions"][-1]["facts"] == [{"fact": "parent_unbound", "value": 0.2, "other": 0.1}]
    assert "its parent is near the peak of neither bandwidth (20.0%)" in told(row)
