import copy
import math
import re
import xml.etree.ElementTree as ElementTree

import pytest

from scripts.report import curves, knee
from scripts.report.knee import Point
from scripts.report.sections import sweeps as sweep_view
from tests.support.synthetic_study import Technique, compare, everything, with_sweeps, write_study


def points(function, xs, half=None):
    return [Point(x, y := function(x), *((y - half, y + half) if half else ())) for x in xs]


def test_a_planted_knee_is_found():
    found = knee.knee(points(lambda x: min(x, 8) + 0.05 * x, range(1, 33)))
    assert found == knee.Knee(7)


@pytest.mark.parametrize("sign", [1, -1])
def test_saturation_has_its_knee_where_it_flattens_whichever_way_it_goes(sign):
    xs = [1, 2, 4, 8, 16, 32, 64]
    found = knee.knee(points(lambda x: sign * (1 - math.exp(-x / 8)), xs))
    assert xs[found.index] == 16
    assert not found.turns


def test_a_curve_that_goes_back_turns():
    found = knee.knee(points(lambda x: -((x - 4) ** 2), range(1, 8)))
    assert found == knee.Knee(3, turns=True)


def test_no_knee_in_a_straight_line_a_flat_one_or_three_points():
    assert knee.knee(points(lambda x: 3 * x + 1, range(10))).reason == "the curve is nearly straight"
    assert knee.knee(points(lambda x: 5, range(10))).reason == "the curve is flat"
    assert knee.knee(points(lambda x: x * x, range(3))).index is None


def test_no_knee_where_the_intervals_swallow_it():
    xs = range(1, 12)
    assert knee.knee(points(lambda x: min(x, 4), xs, 0.1)).index == 3
    assert knee.knee(points(lambda x: min(x, 4), xs, 2)).reason == "the intervals leave room for a straight line"


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    techniques, described = with_sweeps()
    written = write_study(tmp_path_factory.mktemp("swept"), techniques, count=12, runs=2)
    written["study"]["sweeps"] = described
    return compare(written)


def test_latency_throughput_and_quality_are_drawn_with_where_they_bend(swept):
    for sweep in swept["sweeps"]:
        assert [panel["name"] for panel in curves.panels(swept, sweep)] == ["latency", "samples a second", "ROUGE-L"]
        assert curves.panels(swept, sweep)[-1]["label"] == "ROUGE-L F1"
        assert curves.knees(swept, sweep)
        assert curves.svg(swept, sweep) == curves.svg(swept, sweep)
        ElementTree.fromstring(curves.svg(swept, sweep))
        assert curves.svg(swept, sweep | {"points": sweep["points"][:1]}) == ""


def test_a_planted_knee_stands_in_the_sentence_and_in_the_drawing(swept):
    swept = copy.deepcopy(swept)
    sweep = next(sweep for sweep in swept["sweeps"] if sweep["facet"] == "batch_size")
    values = {point["technique"]: point["value"] for point in sweep["points"]}
    for technique in swept["techniques"]:
        if technique["name"] in values:
            rate = min(values[technique["name"]], 8) + values[technique["name"]] / 50
            technique["figures"]["throughput_samples_per_s"] |= {"value": rate, "low": rate * 0.99, "high": rate * 1.01}
    assert "The curve of samples a second has its knee at 8." in curves.knees(swept, sweep)
    assert re.search(r"<text[^>]*>knee<", curves.svg(swept, sweep))


def test_values_that_are_no_numbers_have_no_knee(swept):
    sweep = copy.deepcopy(swept["sweeps"][0])
    for number, point in enumerate(sweep["points"]):
        point["value"] = f"value {number}"
    assert all(panel["knee"].index is None for panel in curves.panels(swept, sweep))


def test_techniques_that_differ_in_batch_size_alone_are_a_sweep(tmp_path):
    comparison = compare(write_study(tmp_path, everything(), count=8, runs=2))
    assert comparison["sweeps"] == []
    (found,) = sweep_view.batches(comparison)
    assert [(point["value"], point["technique"]) for point in found["points"]] == [(1, "nf4"), (8, "nf4_batch")]
    shown = sweep_view.sweeps(comparison)[0]
    assert "a knee needs 4 points" in shown["knees"][0]
    assert str(shown["curve"]).startswith("<svg")


def test_a_study_s_own_batch_sweep_is_not_shown_twice(swept):
    assert sweep_view.batches(swept) == []


def test_one_batch_size_is_no_sweep(tmp_path):
    techniques = [Technique("baseline", None, difference={"kv_cache": "none", "batch_size": 8})]
    assert sweep_view.batches(compare(write_study(tmp_path, techniques, count=8, runs=1))) == []


def test_values_of_a_sweep_that_are_no_numbers_stand_one_after_the_other():
    assert curves.positions([0, 4, 16]) == [0, 4, 16]
    assert curves.positions([1, 4, 16]) == pytest.approx([0, math.log(4), 2 * math.log(4)])
    assert curves.positions([True, False]) == [0, 1]
    assert curves.positions(["a", 2, None]) == [0, 1, 2]
