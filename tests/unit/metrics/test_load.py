"""Capacity and goodput of load runs, and what is refused of their files."""

import json
import math

import pytest

from scripts.foundation.errors import StudyError
from scripts.metrics import loads
from scripts.metrics.families.load import CAPACITY, GOODPUT, MEMORY, compute
from scripts.metrics.recorded import Recorded
from tests.support.synthetic_load import make_load


def figures(*found):
    return compute(Recorded([], loads=list(found)))


def test_a_capacity_is_the_geometric_mean_of_the_runs_with_an_interval_over_them():
    runs = [make_load("graph", run, 60.0) for run in (1, 2, 3)]
    for run, rate in zip(runs, (40.0, 50.0, 44.0), strict=True):
        run["capacity"] |= {"per_s": rate, "keeps_at": rate, "breaks_at": 1.05 * rate}
    figure = figures(*runs)[CAPACITY]
    assert figure["value"] == pytest.approx((40 * 50 * 44) ** (1 / 3))
    # Student's t with two degrees of freedom, on logarithms.
    logs = [math.log(rate) for rate in (40.0, 50.0, 44.0)]
    mean = sum(logs) / 3
    deviation = math.sqrt(sum((each - mean) ** 2 for each in logs) / 2)
    reach = 4.302653 * deviation / math.sqrt(3)
    assert figure["low"] == pytest.approx(math.exp(mean - reach), rel=1e-5)
    # Up to where the limits were seen to break: what the search did not resolve is in the interval.
    assert figure["high"] == pytest.approx(1.05 * math.exp(mean + reach), rel=1e-5)
    assert (figure["n"], figure["interval"], figure["unit"]) == (3, "t over runs", "requests/s")


def test_the_same_rate_in_every_run_is_not_known_more_exactly_than_the_rates_that_were_tried():
    runs = [make_load("graph", run, 60.0) for run in (1, 2, 3)]
    for run in runs:
        run["capacity"] |= {"per_s": 20.0, "keeps_at": 20.0, "breaks_at": 40.0}
    figure = figures(*runs)[CAPACITY]
    assert (figure["low"], figure["high"]) == (pytest.approx(20.0), pytest.approx(40.0))
    runs[1]["capacity"]["breaks_at"] = None
    assert figures(*runs)[CAPACITY]["high"] is None


def test_without_limits_no_goodput_is_missing_for_that_reason():
    none = {"ttft_ms": None, "tpot_ms": None, "latency_ms": None, "percentile": 99}
    run = make_load("graph", 1, 60.0, settings={"limits": none, "rates": [5]})
    for level in run["levels"]:
        level["goodput_per_s"] = None
    assert figures(run)[GOODPUT]["note"] == "no limit is set"


def test_one_run_has_no_interval_and_says_so():
    figure = figures(make_load("graph", 1, 60.0))[CAPACITY]
    assert figure["low"] is None
    assert "no interval" in figure["note"]


def test_a_technique_that_was_not_tested_has_neither_figure():
    found = figures()
    assert {figure["value"] for figure in found.values()} == {None}
    assert found[CAPACITY]["note"] == "not tested under load"


def test_a_run_that_failed_leaves_no_capacity_and_gives_its_reason():
    failed = make_load("graph", 2, 60.0, status="failed", reason="the server ended early.")
    found = figures(make_load("graph", 1, 60.0), failed)
    assert found[CAPACITY]["value"] is None
    assert found[CAPACITY]["note"] == "run 2 under load: the server ended early."


def test_a_run_whose_lowest_rate_broke_the_limit_leaves_no_capacity():
    slow = make_load("graph", 1, 60.0, service_s=1.0)
    found = figures(slow)
    assert found[CAPACITY]["value"] is None
    assert "broke a limit" in found[CAPACITY]["note"]


def test_memory_under_load_is_the_peak_of_all_devices_over_the_runs():
    def run(number, *peaks, **changes):
        devices = [{"device": f"cuda:{place}", "peak_bytes": peak} for place, peak in enumerate(peaks)]
        return make_load("graph", number, 60.0, memory={"method": "nvml", "note": "all", "devices": devices} | changes)

    figure = figures(run(1, 10e9, 2e9), run(2, 11e9, 2e9))[MEMORY]
    assert (figure["value"], figure["runs"], figure["unit"]) == (12.5e9, [12e9, 13e9], "B")
    assert figures(run(1, 10e9, None))[MEMORY]["note"] == "not read on this machine"
    assert figures(run(1, None, method=None, note="started elsewhere"))[MEMORY]["note"] == "started elsewhere"


def test_goodput_is_the_best_of_all_rates():
    run = make_load("graph", 1, 60.0)
    assert figures(run)[GOODPUT]["value"] == pytest.approx(max(level["goodput_per_s"] for level in run["levels"]))


def test_closed_loops_that_only_begin_a_search_have_no_goodput():
    run = make_load("graph", 1, 60.0)
    run["levels"].insert(0, run["levels"][0] | {"purpose": "estimate", "goodput_per_s": 1e6})
    assert figures(run)[GOODPUT]["value"] < 1e6
    del run["levels"][1:]
    assert figures(run)[GOODPUT]["note"] == "no rate could be tried"


def test_rates_that_were_given_have_no_capacity():
    run = make_load("graph", 1, 60.0, settings={"rates": [5, 10]})
    assert figures(run)[CAPACITY]["note"] == "no rate was searched for"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": "fine"}, "'status' is none of"),
        ({"technique": "other"}, "is a run of 'other'"),
        ({"levels": None}, "'levels' is missing"),
        ({"capacity": {"per_s": -1}}, "'capacity' holds no rate"),
        ({"capacity": 12}, "'capacity' holds no rate"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path, changes, said):
    path = tmp_path / "load.json"
    path.write_text(json.dumps(make_load("graph", 1, 60.0) | changes), encoding="utf-8")
    with pytest.raises(StudyError, match=said):
        loads.read_loads([path], "graph")


def test_runs_with_other_settings_do_not_belong_together(tmp_path):
    paths = [tmp_path / "1.json", tmp_path / "2.json"]
    (tmp_path / "requests.jsonl").touch()
    for path, seed in zip(paths, (0, 1), strict=True):
        path.write_text(json.dumps(make_load("graph", 1, 60.0, settings={"seed": seed})), encoding="utf-8")
    with pytest.raises(StudyError, match="other settings of load"):
        loads.read_loads(paths, "graph")


def test_what_several_searches_note_is_said_once_with_their_number():
    runs = [make_load("graph", run, 60.0) for run in (1, 2, 3)]
    early = "the search ended before its resolution was reached: {} requests/s would not have fitted"
    for run, note in zip(runs, (early.format(14), None, f"the edge is blurred; {early.format(11)}"), strict=True):
        run["capacity"]["note"] = note
    assert figures(*runs)[CAPACITY]["note"] == (
        "the search ended before its resolution was reached in 2 of 3 runs: 14 requests/s would not have fitted, "
        "11 requests/s would not have fitted; the edge is blurred in 1 of 3 runs"
    )
