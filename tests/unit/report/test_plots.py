import itertools
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from scripts.report import forest, labels, numbers, picture, plots, text

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
    points = [point("sure", 1, 1), point("perhaps", 2, 2, chance=0.71), point("off", 3, 1.5, chance=0.01)]
    assert picture.front(points) == {0}
    assert picture.possible(points) == {1}
    source = drawn(points)
    shown = [element.text for element in ElementTree.fromstring(source).iter(f"{SVG}text")]
    assert {"sure", "perhaps (71%)", "off"} <= set(shown)
    assert "On the Pareto front (x; y): sure (1.00; 1). Possibly on it: perhaps (2.00; 2; chance 71%)." in source
    assert source.count(f"fill: {plots.FRONT}") == 2  # the one that is sure, and the legend's mark
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
    assert "log scale" in drawn([point("a", 1, 0.5), point("b", 100, 0.6)])
    assert "log scale" not in drawn([point("a", 1, 0.5), point("b", 2, 0.6)])


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


def test_numbers():
    assert numbers.percent(-57.84) == "−57.8%"  # noqa: RUF001
    assert numbers.percent(0.01) == "0.0%"
    assert numbers.percent(-0.01) == "0.0%"
    scale = numbers.column_scale([0.0712, 0.1696, None], numbers.TIME)
    assert (scale.unit, scale.show(0.0712), scale.show(None)) == ("ms", "71.2", "—")
    assert numbers.column_scale([None], numbers.TIME).unit == "s"
    assert numbers.column_scale([2.4e9, 1.0e9], numbers.BYTES).show_with_unit(2.4e9) == "2.40 GB"
    assert numbers.Scale("s").interval(1.0, None) == "≥ 1.00"


def test_text_is_made_visible_not_dropped():
    assert text.inert("a\u202eb\x00") == "a[U+202E]b[U+0000]"
    assert text.inert_values({"k\x00": ["\u2066", 1, None]}) == {"k[U+0000]": ["[U+2066]", 1, None]}
    assert (
        text.inert("family \N{MAN}\u200d\N{WOMAN}, tab\tand\nline") == "family \N{MAN}\u200d\N{WOMAN}, tab\tand\nline"
    )
    assert text.flattened({"a": {"b": 1}, "c": [1, 2], "d": [{"e": None}]}) == [
        ("a.b", "1"), ("c", "1, 2"), ("d[0].e", "none"),
    ]  # fmt: skip
