"""Techniques beside each other under load."""

import pytest

from scripts.comparison import load
from scripts.metrics import loads
from scripts.metrics.families.load import compute
from scripts.metrics.recorded import Recorded
from tests.support.synthetic_load import make_load

PRICE = {"comparison": {"price_per_device_hour": 3.6, "currency": "EUR"}}


def content(name, rates, **changes):
    runs = [make_load(name, run, 60.0, **changes) for run in range(1, len(rates) + 1)]
    for run, rate in zip(runs, rates, strict=True):
        if run["capacity"]:
            run["capacity"] |= {"per_s": rate, "keeps_at": rate, "breaks_at": 1.02 * rate}
    figures = compute(Recorded([], loads=runs))
    return {"technique": name, "figures": figures, "processes": 1, "load": loads.summary(runs)}


def compared(*contents):
    return load.load(PRICE, {each["technique"]: each for each in contents}, on_gpus=True)


def test_no_technique_under_load_is_no_part_of_the_comparison():
    assert load.load({}, {"a": {"figures": {}, "load": None}}, on_gpus=False) is None


def test_techniques_stand_by_capacity_and_the_first_is_tested_against_the_others():
    found = compared(content("slow", [20, 21, 20.5]), content("fast", [40, 41, 42]), content("near", [39, 42, 41]))
    assert found["order"] == ["fast", "near", "slow"]
    near, slow = found["ratios"]
    assert (near["verdict"], slow["verdict"]) == ("no measurable difference", "higher")
    assert slow["low"] < slow["value"] < slow["high"]
    assert slow["value"] == pytest.approx(2.0, rel=0.01)


def test_rates_that_the_searches_did_not_tell_apart_are_no_difference():
    near = content("near", [40.0, 40.1, 40.05])
    fast = content("fast", [40.6, 40.7, 40.65])
    # Their own runs hardly differ, but the other broke its limits only above what the first kept.
    assert compared(fast, near)["ratios"][0]["verdict"] == "no measurable difference"


def test_with_one_run_nothing_is_tested():
    found = compared(content("fast", [40]), content("slow", [20]))
    assert found["ratios"][0]["verdict"] is None
    assert found["ratios"][0]["low"] is None


def test_who_has_no_rate_is_named_with_the_reason():
    failed = content("bad", [40, 40], status="failed", reason="the server ended early.")
    found = compared(content("fast", [40, 41]), failed, content("given", [1, 1], settings={"rates": [5]}))
    assert found["order"] == ["fast"]
    assert found["missing"] == {"bad": "the server ended early.", "given": "no rate was searched for"}


def test_a_million_headlines_cost_what_a_device_serves_at_capacity():
    found = compared(content("fast", [100.0, 100.0]))
    cost = found["costs"]["fast"]["cost_per_million"]
    # 10,000 s at 3.6 EUR an hour.
    assert cost["value"] == pytest.approx(10.0)
    assert cost["unit"] == "EUR"
