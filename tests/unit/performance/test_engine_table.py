"""The engine's benchmark: its intervals, its verdicts, and rows that say why they are empty."""

import itertools

import pytest

from tests.performance.engine_rows.limits import LIMITS, PARTS
from tests.performance.engine_rows.paired import Estimate, estimate, interleaved
from tests.performance.engine_rows.table import completed, markdown, measured


def _of(value: float) -> Estimate:
    return Estimate(value, value * 0.9, value * 1.1, 20)


@pytest.mark.parametrize(
    ("key", "value", "verdict"),
    [
        ("against_stock", 16.0, "aim"),
        ("against_stock", 10.0, "enough"),
        ("against_stock", 9.9, "SHORT"),
        ("ttft_steps", 1.3, "aim"),
        ("ttft_steps", 1.8, "enough"),
        ("ttft_steps", 1.9, "SHORT"),
        ("loop", -0.1, "aim"),
        ("fp8_1b", 0.1, "-"),
    ],
)
def test_verdict(key, value, verdict):
    assert measured(key, _of(value)).verdict == verdict


def test_only_a_figure_that_falls_short_is_explained():
    asked = []
    for value in (1.4, 1.2):
        row = measured("int8_1b", _of(value), explain=lambda value=value: asked.append(value) or ["why"])
    assert asked == [1.2]
    assert row.bounds == ["why"]


def test_a_failing_explanation_keeps_the_figure():
    row = measured("int8_1b", _of(1.2), explain=lambda: [][0])
    assert row.estimate.value == 1.2
    assert "IndexError" in row.bounds[0]


def test_every_row_of_a_part_is_told_with_its_reason():
    rows = completed([measured("loop", _of(0.2))], {"one": "this machine\nhas no GPU"}, ["one", "cpu"])
    assert [row.limit.key for row in rows] == ["share_1b", "against_stock", "ttft_steps", "loop", "cpu"]
    assert [row.verdict for row in rows] == ["not measured"] * 3 + ["aim", "not measured"]
    table = markdown(rows)
    assert "+0.20% (+0.18% to +0.22%)" in table
    assert "<= 1.80x | <= 1.30x" in table


def test_limits_are_one_each_and_in_their_order():
    assert len({limit.key for limit in LIMITS}) == len(LIMITS)
    assert {limit.part for limit in LIMITS} == set(PARTS)
    for limit in LIMITS:
        assert (limit.least is None) == (limit.aim is None)
        if limit.least is not None:
            assert limit.aim <= limit.least if limit.lower else limit.aim >= limit.least


def test_sides_take_turns_and_rehearsals_are_not_kept():
    calls, count = [], itertools.count()

    def side(name):
        def run():
            calls.append(name)
            return {"first": next(count), "last": 1.0} if name == "b" else 2.0

        return run

    figures = interleaved({name: side(name) for name in "ab"}, 5, rehearsals=2)
    assert [sorted(calls[turn : turn + 2]) for turn in range(0, 14, 2)] == [["a", "b"]] * 7
    assert {name: len(values) for name, values in figures.items()} == {"a": 5, "b.first": 5, "b.last": 5}
    assert figures["b.first"] == [2, 3, 4, 5, 6]


def test_a_drift_that_falls_on_both_sides_is_no_part_of_their_ratio():
    drift = [1 + 0.05 * turn for turn in range(20)]
    figures = {"slow": [3 * each for each in drift], "fast": drift}
    ratio = estimate(figures, lambda m: m["slow"] / m["fast"])
    assert (ratio.value, ratio.low, ratio.high, ratio.rounds) == (*(pytest.approx(3),) * 3, 20)


def test_the_interval_holds_the_figure():
    figures = {"a": [1.0, 1.1, 0.9, 1.3, 1.0, 1.05, 0.95, 1.2], "b": [2.0, 2.2, 2.1, 1.9, 2.0, 2.4, 2.05, 2.0]}
    ratio = estimate(figures, lambda m: m["b"] / m["a"])
    assert ratio.low < ratio.value < ratio.high


def test_sides_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="as many rounds"):
        estimate({"a": [1.0], "b": [1.0, 2.0]}, lambda m: m["a"] / m["b"])
