import itertools
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from scripts.report import axes, factors, forest, labels, numbers, picture, plots, text

SVG = "{http://www.w3.org/2000/svg}"


def point(label, x, y, **more):
    return picture.Point(label, x, y, None, (y - 0.02, y + 0.02), **more)


def drawn(points):
    return plots.svg(picture.Plot("Title", "x", "y", points, []))


def test_the_same_plot_is_the_same_bytes_and_has_no_date():
    points = [point("a", 1, 0.5), point("b", 2, 0.6)]
    assert drawn(points) == drawn(points)
    assert "dc:date" not in drawn(points)


def test_labels_stay_text_and_dollars_stay_dollars():
    label = "costs $5 to $6 <b> & $\\frac{"
    root = ElementTree.fromstring(drawn([point(label, 1, 0.5), point("b", 2, 0.6)]))
    assert label in [element.text for element in root.iter(f"{SVG}text")]
    assert root.find(f"{SVG}title").text == "Title"
    assert label in root.find(f"{SVG}desc").text
    assert root.get("role") == "img"


def test_what_may_be_on_the_front_is_hollow_and_has_its_chance():
    points = [
        point("sure", 1, 1), point("perhaps", 2, 2, chance=0.71), point("off", 3, 1.5, chance=0.01),
        point("base", 4, 1.2, chance=0.0, baseline=True), point("best", 2.5, 1.7, chance=0.0, leads=True),
    ]  # fmt: skip
    assert picture.front(points) == {0}
    assert picture.possible(points) == {1}
    source = drawn(points)
    shown = [element.text for element in ElementTree.fromstring(source).iter(f"{SVG}text")]
    assert {"sure", "perhaps (71%)", "base", "best", "better"} <= set(shown)
    assert "off" not in shown
    assert "On the Pareto front (x; y): sure (1.00; 1). Possibly on it: perhaps (2.00; 2; chance 71%)." in source
    # The one that is sure, the legend's mark, the better corner and its word.
    assert source.count(f"fill: {plots.FRONT}") == 4
    ElementTree.fromstring(drawn([point("perhaps", 2, 2, chance=0.71)]))


@pytest.mark.parametrize("points", [[], [point("only", 1, 0.5)], [point("a", 1, 0.0), point("b", 1, 0.0)]])
def test_degenerate_plots_are_drawn(points):
    ElementTree.fromstring(drawn(points))


def test_thirty_crowded_labels_do_not_overlap():
    points = [(100 + 12 * (index % 10), 200 + 25 * (index // 10)) for index in range(30)]
    placed = labels.place(points, [(70, 11)] * 30, (50, 20, 650, 420), np.empty((0, 4)))
    boxes = np.array([spot.box for spot in placed])
    assert (boxes[:, :2] >= (50, 20)).all()
    assert (boxes[:, 2:] <= (650, 420)).all()
    for one, other in itertools.combinations(boxes, 2):
        assert (np.minimum(one[2:], other[2:]) <= np.maximum(one[:2], other[:2])).any()


def test_wide_ranges_are_logarithmic_and_say_so():
    assert "x, log scale" in drawn([point("a", 1, 0.5), point("b", 100, 0.6)])
    assert "log scale" not in drawn([point("a", 1, 0.5), point("b", 9, 0.6)])
    # The same range, with most of the values crowded at its lower end.
    assert "log scale" in drawn([point(str(x), x, 0.5) for x in (1, 1.2, 1.3, 1.5, 9)])
    # A score is a share, and a tenth of one is no tenth of the quality.
    assert "log scale" not in drawn([point("a", 1, 0.05), point("b", 2, 0.6)])


def test_a_logarithmic_scale_has_as_many_ticks_as_there_is_room_for():
    assert axes.log_ticks(21, 430, 9) == [30, 40, 60, 80, 100, 150, 200, 300, 400]
    for low, high in ((1, 12), (3, 3e3), (0.02, 40.0), (1, 1e12)):
        ticks = axes.log_ticks(low, high, 9)
        assert 3 <= len(ticks) <= 13
        assert all(low <= tick <= high for tick in ticks)


def test_a_line_goes_from_a_technique_to_its_parent():
    alone = drawn([point("a", 1, 0.5), point("b", 2, 0.6)])
    child = drawn([point("a", 1, 0.5), point("b", 2, 0.6, parent=(1, 0.5))])
    assert child.count("<path") == alone.count("<path") + 1


def test_an_empty_plot_says_why():
    empty = picture.Plot("Title", "x", "y", [], [], "Quality was not measured.")
    assert "Quality was not measured." in plots.svg(empty)


def test_forest_puts_no_change_between_faster_and_slower():
    figures = [
        {"unit": "%", "value": -50.0, "low": -55.0, "high": -45.0}, None,
        {"unit": "%", "value": 100.0, "low": None, "high": None},
    ]  # fmt: skip
    axis = forest.forest(figures)
    assert axis["rows"][1] is None
    assert axis["rows"][0][0] < axis["one"] < axis["rows"][2][0]
    assert axis["rows"][0][1] < axis["rows"][0][0] < axis["rows"][0][2]
    assert {tick["text"] for tick in axis["ticks"]} >= {"1×", "2×"}  # noqa: RUF001


def test_changes_have_one_form():
    tested = {"value": -50.0, "low": -60.0, "high": -40.0, "ratio": 0.5, "ratio_low": 0.4, "ratio_high": 0.6}
    assert factors.texts(tested, "latency_change_percent") == ("2.00\N{MULTIPLICATION SIGN}", "1.67\N{EN DASH}2.50")
    assert factors.texts(tested, "throughput_change_percent") == (
        "0.50\N{MULTIPLICATION SIGN}",
        "0.40\N{EN DASH}0.60",
    )
    reading = {"value": -38.0, "low": None, "high": None}
    assert factors.texts(reading, "peak_memory_change_percent") == ("0.62\N{MULTIPLICATION SIGN}", "")
    kept = {"value": 98.24, "low": 97.1, "high": 99.3, "ratio": 0.9824}
    assert factors.texts(kept, "quality_kept_percent_rougeL") == ("98.2%", "97.1\N{EN DASH}99.3%")
    nats = {"value": 0.0123, "low": -0.01, "high": 0.03}
    assert factors.texts(nats, "reference_nll_change") == ("+0.012", "\N{MINUS SIGN}0.010 to +0.030")
    assert factors.texts({"value": None}, "latency_change_percent") == (numbers.NOTHING, "")


def test_numbers():
    assert numbers.percent(-57.84) == "−57.8%"  # noqa: RUF001
    assert numbers.percent(0.01) == "0.0%"
    assert numbers.percent(-0.01) == "0.0%"
    scale = numbers.column_scale([0.0712, 0.1696, None], numbers.TIME)
    assert (scale.unit, scale.show(0.0712), scale.show(None)) == ("ms", "71.2", "—")
    assert numbers.column_scale([None], numbers.TIME).unit == "s"
    # What is left of a peak after all parts can be less than nothing.
    assert numbers.column_scale([-2.5e6], numbers.BYTES).show_with_unit(-2.5e6) == "\N{MINUS SIGN}2.50 MB"
    assert numbers.column_scale([2.4e9, 1.0e9], numbers.BYTES).show_with_unit(2.4e9) == "2.40 GB"
    assert numbers.Scale("s").interval(1.0, None) == "at least 1.00"


def test_text_is_made_visible_not_dropped():
    assert text.inert("a\u202eb\x00") == "a[U+202E]b[U+0000]"
    assert text.inert_values({"k\x00": ["\u2066", 1, None]}) == {"k[U+0000]": ["[U+2066]", 1, None]}
    assert (
        text.inert("family \N{MAN}\u200d\N{WOMAN}, tab\tand\nline") == "family \N{MAN}\u200d\N{WOMAN}, tab\tand\nline"
    )
    assert text.flattened({"a": {"b": 1}, "c": [1, 2], "d": [{"e": None}]}) == [
        ("a.b", "1"), ("c", "1, 2"), ("d[0].e", "none"),
    ]  # fmt: skip
