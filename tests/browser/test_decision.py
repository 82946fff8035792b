"""The decision and the scenarios: every control, what it changes, and what a link keeps."""

import json
import re

import pytest
from playwright.sync_api import expect

from scripts.report.text import inert_values
from tests.support.report_pages import rendered
from tests.support.synthetic_study import Technique, built_in_choices, compare, write_study

CHOICE = "#choice"


@pytest.fixture
def page(open_report):
    page = open_report()
    for part in ("overall", "scenarios"):
        page.locator(f"#{part} > summary").click()
    return page


def test_the_headline_and_the_cards_follow_the_limits(page):
    headline, cards, note = page.locator("#headline"), page.locator("#cards .card"), page.locator("#answer-note")
    own, titles = headline.inner_text(), cards.locator(".use").all_inner_texts()
    assert own.startswith("Use Compiled")
    assert titles[0].startswith("Single requests")
    assert note.is_hidden()
    page.locator("#limit-max_batch_size").fill("1")
    page.locator("#limit-max_peak_memory_gb").fill("435")
    expect(headline).to_have_text(re.compile(r"^Use (?!Compiled).*faster"))
    name = cards.first.get_attribute("data-technique")
    assert page.locator(f"table.results tr[data-technique={name}]").get_attribute("class") != "struck"
    assert page.locator("#speedups tr.struck").count() == page.locator(f"{CHOICE} .struck li").count()
    assert page.locator("#answer-beside").is_hidden()
    page.locator("#limit-max_peak_memory_gb").fill("0.001")
    expect(headline).to_have_text("No technique meets your limits.")
    note.get_by_role("button").click()
    assert headline.inner_text() == own
    assert cards.locator(".use").all_inner_texts() == titles
    assert page.locator("#answer-beside").is_visible()


def test_a_limit_recommends_nothing_that_is_not_shown_to_be_faster(browser, tmp_path):
    faster = Technique("fast", label="Fast", speed=1.01, lossless=True)
    techniques = [Technique("baseline", None, "Plain"), faster, Technique("big", label="Big", peak_mib=9_000)]
    comparison = compare(write_study(tmp_path, techniques, **built_in_choices()))
    comparison["uses"] |= {"alone": ["fast", "baseline"], "bulk": ["fast", "baseline"]}
    change = comparison["techniques"][1]["changes"]["baseline"]["figures"]["latency_change_percent"]
    change["verdict"] = "no measurable difference"
    (tmp_path / "report.html").write_text(rendered(comparison, numbers=inert_values(comparison)), encoding="utf-8")
    page = browser.new_page()
    page.goto(f"{(tmp_path / 'report.html').as_uri()}#limits=max_peak_memory_gb!1")
    expect(page.locator("#headline")).to_have_text("Use Plain, the reference.")
    assert page.locator("#cards .card").count() == 1
    # What can't be scored breaks no limit: its bar is not struck out, and it may still be the answer.
    del comparison["ranking"]["log_gains"]["fast"]["memory"]
    change["verdict"] = "faster"
    (tmp_path / "report.html").write_text(rendered(comparison, numbers=inert_values(comparison)), encoding="utf-8")
    page.reload()
    expect(page.locator("#headline")).to_have_text(re.compile("^Use Fast: "))
    assert (
        page.locator("#speedups tr.struck").all_inner_texts()
        == page.locator("#speedups tr", has_text="Big").all_inner_texts()
    )
    page.close()


def winner(page, within=CHOICE):
    found = page.locator(f"{within} .winner")
    return found.get_attribute("data-winner"), found.get_attribute("data-chance")


def values(study_report):
    comparison = json.loads((study_report.parent / "comparison.json").read_text(encoding="utf-8"))
    return comparison["ranking"]


def qualifying(page):
    return int(re.match(r"(\d+) of", page.locator(f"{CHOICE} .count").inner_text()).group(1))


def test_every_scenario_gives_the_choice_that_the_study_computed(page):
    buttons = page.locator("[data-use]")
    assert buttons.count() > 0
    for n in range(buttons.count()):
        article = page.locator(".situation").nth(n)
        buttons.nth(n).click()
        assert page.evaluate("document.activeElement.id") == "choice"
        told = article.locator(".winner")
        if told.get_attribute("data-winner") is None:
            assert page.locator(CHOICE).get_by_text("No technique meets these limits.").is_visible()
            continue
        name, chance = winner(page)
        assert name == told.get_attribute("data-winner")
        assert abs(float(chance) - float(told.get_attribute("data-chance"))) <= 0.002
        score = told.locator(".odds").first.inner_text().split()[0]
        assert score in page.locator(f"{CHOICE} .winner").inner_text()
        summary = article.locator("summary")
        if summary.count():
            assert summary.inner_text().startswith(f"{qualifying(page)} of ")


def test_field_and_slider_are_one_value_and_a_link_restores_it(page, open_report, study_report):
    # Of 60 prompts in three runs, which are too few for a P99.
    slider = page.get_by_label("Slowest of 180 requests, at most: slider")
    field = page.locator("#limit-max_p99_latency_s")
    total = qualifying(page)
    slider.press("Home")
    expect(field).not_to_have_value("")
    strictest = field.input_value()
    assert qualifying(page) == 1
    assert slider.get_attribute("aria-valuetext").startswith(strictest)
    slider.press("End")
    expect(field).to_have_value("")
    assert qualifying(page) == total
    field.fill("75")
    inside = [v["p99_latency_s"] for v in values(study_report)["limit_values"].values() if v["p99_latency_s"]]
    assert qualifying(page) == sum(value <= 0.075 for value in inside)
    assert 0 < int(slider.input_value()) < int(slider.get_attribute("max"))
    page.locator("#limit-quality").check()
    page.locator("#weight-memory").fill("2.5")
    page.wait_for_url(re.compile("weights="))
    again = open_report(fragment=page.url.split("#")[1])
    assert again.locator("#limit-max_p99_latency_s").input_value() == "75"
    assert again.locator("#weight-memory").input_value() == "2.5"
    assert again.locator("#limit-quality").is_checked()
    assert again.locator(CHOICE).inner_text() == page.locator(CHOICE).inner_text()


def test_each_limit_strikes_out_with_its_reason(page, study_report):
    ranking = values(study_report)
    for key, text, value in (
        ("max_peak_memory_gb", "300", "peak_memory_gb"),
        ("min_quality_kept_percent", "99", "quality_kept_percent"),
        ("max_devices", "1", "devices"),
        ("min_devices", "2", "devices"),
        ("min_throughput_samples_per_s", "20", "throughput_samples_per_s"),
        ("max_cost_per_million", "100", "cost_per_million"),
        ("max_batch_size", "1", "batch_size"),
    ):
        page.locator(f"#limit-{key}").fill(text)
        bound = float(text) / (1000 if value == "peak_memory_gb" else 1)
        own = {name: ranking["limit_values"][name][value] for name in ranking["log_gains"]}
        wrong = {name for name, v in own.items() if (v < bound if key.startswith("min") else v > bound)}
        struck = page.locator(f"{CHOICE} li").evaluate_all("items => items.map(item => item.dataset.technique)")
        assert set(struck) == wrong
        assert len(wrong) > 0
        page.locator("#limits-reset").click()
        assert page.locator(f"#limit-{key}").input_value() == ""


def test_a_price_that_the_reader_types_is_counted_everywhere_and_kept_in_the_address(open_report, study_report):
    page = open_report()
    study = json.loads((study_report.parent / "comparison.json").read_text(encoding="utf-8"))
    costs = {t["name"]: t["cost_per_million"]["value"] for t in study["techniques"] if t["status"] == "ok"}
    hours = {t["name"]: t["device_hours_per_million"]["value"] for t in study["techniques"] if t["status"] == "ok"}
    price, limit = page.locator("#price"), page.locator("#limit-max_cost_per_million")
    column = "#results th[data-key='cost_per_million']"
    assert price.input_value() == "3.6"
    assert costs == pytest.approx({name: 3.6 * value for name, value in hours.items()})
    middle = sorted(costs.values())[len(costs) // 2]
    limit.fill(str(middle))
    assert qualifying(page) == sum(cost <= middle for cost in costs.values())
    price.fill("7.2")
    assert qualifying(page) == sum(2 * cost <= middle for cost in costs.values())
    limit.fill(str(2 * middle * 1.000001))
    assert qualifying(page) == sum(cost <= middle * 1.000001 for cost in costs.values())
    name, _ = winner(page)
    assert "EUR per million headlines" in page.locator(f"{CHOICE} .winner").inner_text()
    cell = page.locator(f"#row-{name} td").nth(page.locator(column).evaluate("head => head.cellIndex") - 1)
    assert float(cell.get_attribute("data-value")) == pytest.approx(2 * costs[name])
    page.locator("#tradeoff-x").select_option("cost_per_million")
    page.wait_for_url(re.compile("price=7.2.*axes=cost_per_million"))
    again = open_report(fragment=page.url.split("#")[1])
    assert again.locator("#price").input_value() == "7.2"
    assert again.locator(CHOICE).inner_text() == page.locator(CHOICE).inner_text()
    assert again.locator("#tradeoff-x").input_value() == "cost_per_million"
    price.fill("dear")
    assert page.locator("#price-problem").inner_text().startswith("Write a number above 0")
    assert page.locator(CHOICE).inner_text() == again.locator(CHOICE).inner_text()
    # Without a price there are no costs: no column, no axis, and nothing that a limit on them could let in.
    price.fill("")
    assert not page.locator(column).is_visible()
    assert page.locator("#tradeoff-x").input_value() == "latency_s"
    assert "is not known, since no price of a device hour is set" in page.locator(CHOICE).text_content()
    page.locator("#limits-reset").click()
    assert price.input_value() == "3.6"
    assert page.locator(column).is_visible()
    price.fill("")
    assert limit.is_disabled()


def test_quality_counts_as_shown_and_a_gpu_can_be_chosen(page, study_report):
    ranking = values(study_report)
    own = [ranking["limit_values"][name] for name in ranking["log_gains"]]
    page.locator("#limit-min_quality_kept_percent").fill("95")
    assert qualifying(page) == sum(v["quality_kept_percent"] >= 95 for v in own)
    page.locator("#limit-quality").check()
    assert qualifying(page) == sum(v["quality_kept_low_percent"] >= 95 for v in own)
    page.locator("#limits-reset").click()
    assert not page.locator("#limit-quality").is_checked()
    select = page.locator("#limit-fits_gpu")
    assert select.is_enabled()
    select.select_option(index=1)
    page.wait_for_url(re.compile("fits_gpu"))
    assert page.locator(f"{CHOICE} .count").inner_text()


def test_weights_move_the_scores_and_the_top_three(page):
    top = page.locator("#top .candidate")
    first = [item.get_attribute("data-technique") for item in top.all()]
    for key in ("latency", "throughput", "quality"):
        page.locator(f"#weight-{key}").fill("0")
    note = page.locator("#ranked-under")
    assert note.is_visible()
    assert top.first.get_attribute("data-technique") == winner(page)[0] == "nf4"
    page.locator("#weight-memory").fill("0")
    assert page.locator("#weight-memory-problem").inner_text().startswith("One weight at least must be above 0.")
    assert winner(page)[0] == "nf4"
    slider = page.get_by_label("Weight of latency: slider")
    slider.press("End")
    expect(page.locator("#weight-latency")).to_have_value("5")
    note.get_by_role("button").click()
    assert note.is_hidden()
    assert [item.get_attribute("data-technique") for item in top.all()] == first


def test_what_cannot_be_read_is_kept_explained_and_ignored(page):
    total = qualifying(page)
    field, problem = page.locator("#limit-max_p99_latency_s"), page.locator("#limit-max_p99_latency_s-problem")
    for text in ("fast", "-3", "0", "1,000", "1e999"):
        field.fill(text)
        assert field.get_attribute("aria-invalid") == "true"
        assert re.match(
            r"Write a number above 0, such as [\d.]+, or nothing\. Until then: no limit\.", problem.inner_text()
        )
        assert qualifying(page) == total
    page.locator("#limit-max_devices").fill("1.5")
    assert "whole number" in page.locator("#limit-max_devices-problem").inner_text()
    page.locator("#weight-quality").fill("-1")
    assert "0 or more" in page.locator("#weight-quality-problem").inner_text()
    assert field.input_value() == "1e999"
    field.fill("90")
    assert field.get_attribute("aria-invalid") is None
    assert problem.is_hidden()
    assert page.locator("#limit-max_devices").input_value() == "1.5"
    page.locator("#limits-reset").click()
    assert page.locator("#limits [aria-invalid]").count() == 0
    assert page.locator("#weight-quality").input_value() == "3"


def test_none_qualifies_says_what_would_have_to_give_and_is_announced(page):
    page.locator("#limit-max_p99_latency_s").fill("0.001")
    answer = page.locator(CHOICE)
    assert "No technique meets these limits." in answer.inner_text()
    told = re.search(r"at most ([\d.]+) ms instead of 0.001 ms, and (.+) qualifies", answer.inner_text())
    assert page.locator("#top .candidate").count() == 0
    expect(page.locator("#announcements")).to_contain_text("No technique meets these limits.")
    page.locator("#limit-max_p99_latency_s").fill(told.group(1))
    assert qualifying(page) >= 1
    assert told.group(2) in answer.locator(".winner").inner_text()


def test_a_link_can_be_copied(open_report):
    page = open_report(permissions=["clipboard-read", "clipboard-write"])
    page.locator("#limit-max_devices").fill("1")
    page.locator("#limits-copy").click()
    expect(page.locator("#limits-copied")).not_to_be_empty()
    copied = page.locator("#limits-copied input")
    link = copied.input_value() if copied.count() else page.evaluate("navigator.clipboard.readText()")
    assert link.endswith("#limits=max_devices!1")
