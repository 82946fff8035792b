"""The trade-off picture: its axes, its points, and how they are reached."""

import itertools
import json
import re
from pathlib import Path

import pytest

from scripts.comparison import fronts
from scripts.report import limits, page, picture, rows, view
from scripts.report.text import inert_values
from tests.support.report_stages import make_report
from tests.support.synthetic_study import Technique, compare, write_study

TEMPLATE = Path(__file__).parents[2] / "report" / "report.html.j2"


@pytest.fixture(scope="session")
def study(study_report):
    return json.loads((study_report.parent / "comparison.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def techniques(study):
    return {technique["name"]: technique for technique in study["techniques"] if technique["status"] == "ok"}


def chances(study, techniques, x, y, low=False):
    """Return each technique's chance of being on the front, as the study computes it."""
    points = {
        name: tuple(rows.figure(technique, key)["value"] for key in (x, y)) for name, technique in techniques.items()
    }
    return {name: chance for name, (chance, _) in fronts.chances(points, x, y, low, study).items()}


def placed(found, where):
    return {name for name, chance in found.items() if fronts.place(chance) == where}


def marked(page, kind="front"):
    shown = page.locator(f"#tradeoff .point:has(.mark.{kind})")
    return set(shown.evaluate_all("points => points.map(point => point.dataset.technique)"))


def point(page, name):
    return page.locator(f"#tradeoff .point[data-technique='{name}']")


def test_the_front_follows_the_axes_and_is_told_in_words(open_report, techniques, study):
    page = open_report()
    said = page.locator("#tradeoff-front")
    assert page.locator("#tradeoff .point").count() == len(techniques)
    assert marked(page) == placed(chances(study, techniques, "latency_s", "rougeL"), "firm")
    page.get_by_label("Across", exact=True).select_option("peak_memory_bytes")
    expected = placed(chances(study, techniques, "peak_memory_bytes", "rougeL"), "firm")
    assert marked(page) == expected
    assert "peak memory and ROUGE-L" in said.inner_text()
    for name in expected:
        assert techniques[name]["label"] in said.inner_text()
    # On an axis on which less is better, up is still better.
    page.get_by_label("Up", exact=True).select_option("reference_nll_per_token")
    tops = {name: point(page, name).bounding_box()["y"] for name in ("pruned_50", "target_only")}
    assert tops["target_only"] < tops["pruned_50"]
    page.wait_for_url("**axes=peak_memory_bytes**")
    # The study sets a price, and measured no energy.
    assert page.locator("#tradeoff-x option[value='cost_per_million']").count() == 1
    assert page.locator("#tradeoff-x option[value='energy_per_sample_j']").count() == 0


AXES = [("latency_s", "rougeL"), ("time_per_sample_s", "rouge2"), ("cost_per_million", "throughput_samples_per_s"),
        ("latency_p99_s", "reference_nll_per_token")]  # fmt: skip


@pytest.mark.parametrize(("x", "y"), AXES)
def test_the_page_draws_the_chances_that_the_study_computes(open_report, techniques, study, x, y):
    found = chances(study, techniques, x, y, low=y == "reference_nll_per_token")
    shown = open_report(fragment=f"axes={x},{y}")
    assert marked(shown) == placed(found, "firm")
    assert marked(shown, "perhaps") == placed(found, "possible")


@pytest.fixture(scope="session")
def close(tmp_path_factory):
    """Return the report of a study in which chance decides which of three is the fastest, and its comparison."""
    folder = tmp_path_factory.mktemp("close")
    techniques = [Technique("baseline", None, "Plain")]
    techniques += [Technique(name, label=name.title(), speed=speed) for name, speed in
                   (("ant", 2.0), ("bee", 2.001), ("cat", 1.999))]  # fmt: skip
    comparison = compare(write_study(folder, techniques, count=30, runs=3))
    contents = page.Contents(numbers=inert_values(comparison))
    (folder / "report.html").write_text(page.page(view.report_view(comparison), TEMPLATE, contents), encoding="utf-8")
    return folder / "report.html", comparison


def test_a_technique_that_may_be_on_the_front_says_its_chance_everywhere(open_report, close):
    path, comparison = close
    techniques = {technique["name"]: technique for technique in comparison["techniques"]}
    found = chances(comparison, techniques, "latency_s", "rougeL")
    unsure = placed(found, "possible")
    assert len(unsure) > 1
    shown = open_report(path)
    assert marked(shown, "perhaps") == unsure
    assert marked(shown) == placed(found, "firm")
    said = shown.locator("#tradeoff-front").inner_text()
    drawn = picture.front_sentence(picture.plot_of(comparison, "latency_s"))
    for name in unsure:
        told = limits.chance(found[name])
        assert f"possibly on the Pareto front (chance {told})" in point(shown, name).get_attribute("aria-label")
        assert f"({told})" in shown.locator(f"#tradeoff .label[data-of='{name}']").text_content()
        for text in (said, drawn):
            assert re.search(rf"{name.title()} \([^)]*; chance {told}\)", text)
        summary = shown.locator(f"#technique-{name} .part.summary").text_content()
        assert f"Perhaps nothing is both faster and better (chance {told})" in summary


def test_the_front_the_baseline_and_the_best_are_labelled_and_others_when_they_are_asked_for(open_report, study):
    shown = open_report(fragment="axes=latency_s,rougeL")
    labels = shown.locator("#tradeoff-chart .label:visible")

    def labelled():
        return set(labels.evaluate_all("texts => texts.map(text => text.dataset.of)"))

    best = study["ranking"]["overall"][0]["technique"]
    first = {"baseline", best} | marked(shown) | marked(shown, "perhaps")
    assert labelled() == first
    other = next(name for name in ("pruned_50", "nf4", "kv_cache") if name not in first)
    point(shown, other).focus()
    assert labelled() == first | {other}
    shown.evaluate("document.activeElement.blur()")
    assert labelled() == first
    point(shown, other).focus()
    shown.keyboard.press("Enter")
    shown.evaluate("document.activeElement.blur()")
    shown.locator(f"#tradeoff-chart .label.picked[data-of='{other}']").wait_for()
    assert shown.locator("#tradeoff-chart .better").text_content() == "better"


def test_points_are_reached_and_picked_by_keyboard(open_report, techniques):
    page = open_report(fragment="axes=latency_s,rougeL")
    assert page.locator("#tradeoff .point[tabindex='0']").count() == 1
    fastest = min(techniques, key=lambda name: techniques[name]["figures"]["latency_s"]["value"])
    page.get_by_label("Up", exact=True).focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.technique") == fastest
    assert "Mean latency" in page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("ArrowRight")
    second = page.evaluate("document.activeElement.dataset.technique")
    assert second != fastest
    assert techniques[second]["label"] in page.locator("#tradeoff-panel .name").inner_text()
    page.keyboard.press("Enter")
    assert point(page, second).get_attribute("aria-pressed") == "true"
    assert "picked" in page.locator(f"#row-{second}").get_attribute("class")
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.dataset.technique") not in (fastest, second)


def test_pointing_says_what_a_change_did(open_report):
    page = open_report()
    point(page, "nf4").hover()
    panel = page.locator("#tradeoff-panel")
    panel.get_by_text(re.compile(r"4-bit NF4 from KV cache: 0\.\d+\S as fast \(")).wait_for()
    assert "slower" in panel.inner_text()
    lit = page.locator("#tradeoff .kin.lit").evaluate_all("lines => lines.map(line => line.dataset.child)")
    assert sorted(lit) == ["nf4", "nf4_batch"]
    assert "lit" in page.locator("#row-nf4").get_attribute("class")
    point(page, "nf4").click()
    page.mouse.move(5, 5)
    assert "picked" in page.locator("#row-nf4").get_attribute("class")


@pytest.mark.parametrize("width", [1440, 390])
def test_labels_cover_neither_each_other_nor_leave_the_picture(open_report, width):
    page = open_report(viewport={"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for x, y in (("latency_s", "rougeL"), ("peak_memory_bytes", "rougeL"), ("time_per_sample_s", "rouge2")):
        page.get_by_label("Across", exact=True).select_option(x)
        page.get_by_label("Up", exact=True).select_option(y)
        # Also of the ones that are shown where they are pointed at.
        point(page, "pruned_50").focus()
        page.locator("#tradeoff-chart .label.lit[data-of='pruned_50']").wait_for()
        boxes = [label.bounding_box() for label in page.locator("#tradeoff-chart .label:visible").all()]
        assert len(boxes) > 1
        chart = page.locator("#tradeoff-chart svg").bounding_box()
        for box in boxes:
            assert box["x"] >= chart["x"] - 3
            assert box["x"] + box["width"] <= chart["x"] + chart["width"] + 3
        # A label's box has its halo of 3 pixels around it, which may lie below another's.
        for a, b in itertools.combinations(boxes, 2):
            wide = min(a["x"] + a["width"], b["x"] + b["width"]) - max(a["x"], b["x"])
            high = min(a["y"] + a["height"], b["y"] + b["height"]) - max(a["y"], b["y"])
            assert wide <= 6 or high <= 6, (a, b)


def test_the_drawings_stand_in_print(open_report):
    page = open_report()
    drawings = page.locator("#tradeoff .plot svg")
    assert drawings.count() == 3
    assert not drawings.first.is_visible()
    page.emulate_media(media="print")
    assert drawings.first.is_visible()
    assert not page.locator("#tradeoff-chart").is_visible()
    assert "On the Pareto front" in page.locator("#tradeoff figcaption").first.inner_text()


def test_limits_are_lines_where_an_axis_shows_what_they_bound(open_report, techniques):
    values = sorted(technique["figures"]["latency_p99_s"]["value"] for technique in techniques.values())
    bound = (values[0] + values[1]) / 2
    limits = f"max_p99_latency_s!{bound}~min_quality_kept_percent!99"
    page = open_report(fragment=f"axes=latency_p99_s,rougeL&limits={limits}")
    lines = page.locator("#tradeoff-chart line.bound")
    assert lines.count() == 2
    places = page.locator("#tradeoff-chart .point").evaluate_all(
        "marks => marks.map(mark => mark.getBoundingClientRect()).map(box => box.x + box.width / 2)"
    )
    line = lines.first.evaluate("line => line.getBoundingClientRect().x")
    assert sum(place < line for place in places) == 1
    # Another limit that strikes out the same: nothing is drawn again but the line.
    page.locator("#limit-max_p99_latency_s").fill(f"{1000 * (bound + (values[1] - bound) / 2):.3f}")
    assert lines.count() == 2
    assert lines.first.evaluate("line => line.getBoundingClientRect().x") > line
    page.locator("#tradeoff-x").select_option("latency_s")
    assert lines.count() == 1


def in_turn(metrics, slower):
    """Put a metrics file's times in units of a reference beside which the machine was so much slower."""
    content = json.loads(metrics.read_text(encoding="utf-8"))
    if content["status"] != "ok":
        return
    samples, second = content["samples"], 0.01 * slower

    def scaled(times):
        columns = ("latency_s", "ttft_s", "tpot_s", "busy_s")
        return {key: [None if time is None else time / second for time in times[key]] for key in columns}

    timed = {key: figure for key, figure in content["figures"].items() if figure.get("run_scatter") is not None}
    runs = {key: [run * second if "per_s" in key else run / second for run in f["runs"]] for key, f in timed.items()}
    figures = {key: {"runs": runs[key], "run_scatter": figure["run_scatter"]} for key, figure in timed.items()}
    fixed = scaled(samples["fixed"]) if samples.get("fixed") else None
    samples["relative"] = {"natural": scaled(samples), "fixed": fixed, "figures": figures}
    content["reference"] = {"status": "on", "technique": "baseline", "digest": "one", "reason": None}
    metrics.write_text(json.dumps(content), encoding="utf-8")


def test_a_front_in_a_references_units_is_that_of_the_study(tmp_path, open_report):
    fast = [Technique(name, "baseline", speed=speed) for name, speed in (("a", 2.2), ("b", 2.0))]
    written = write_study(tmp_path, [Technique("baseline"), *fast], count=40, runs=3)
    # By the seconds a is faster, but the machine was slower while b ran.
    for path, slower in zip(map(Path, written["metrics"]), (1, 0.9, 1.1), strict=True):
        in_turn(path, slower)
    make_report(written, tmp_path)
    page = open_report(tmp_path / "report.html")
    study = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    assert study["answer"]["fastest"] == "b"
    assert page.locator("#tradeoff .point").count() == 3
    known = {row["name"]: row for row in study["techniques"]}
    for x in ("latency_s", "time_per_sample_s"):
        page.get_by_label("Across", exact=True).select_option(x)
        assert marked(page) == placed(chances(study, known, x, "rougeL"), "firm") == {"b"}, x
    assert "took turns with each technique" in page.locator("#results").inner_text()
